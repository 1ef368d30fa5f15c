from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_the_table_says_the_protocol(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        "Protocol: market1501-single-query, same person and camera ignored, AP step, distance global."
    )
    assert done.out.splitlines()[1].split() == ["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"]
    assert "8 queries, 16 gallery images." in done.out


def test_it_repeats_what_training_measured(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--json", "--output", tmp_path / "result.json")
    assert json.loads(done.out) == json.loads((tmp_path / "result.json").read_text())
    assert json.loads(done.out) == json.loads((trained / "metrics.json").read_text())
    assert [f.name for f in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("distance", ["local", "global_local"])
def test_choices_reach_the_protocol(run, trained: Path, figures: Path, distance: str) -> None:
    done = run("evaluate", trained, "--data", figures, "--distance", distance, "--ap", "trapezoid", "--json")
    protocol = json.loads(done.out)["protocol"]
    assert (protocol["distance"], protocol["average_precision"]) == (distance, "trapezoid")


def test_flip_and_normalise_reach_the_numbers(run, trained: Path, figures: Path) -> None:
    asked = run("evaluate", trained, "--data", figures, "--flip", "--no-normalise")
    assert "distance global of embeddings as they are, mirror images averaged." in asked.out.splitlines()[0]
    results = [
        json.loads(run("evaluate", trained, "--data", figures, "--json", *options).out)
        for options in ((), ("--flip",), ("--no-normalise",))
    ]
    assert [(r["protocol"]["flip"], r["protocol"]["normalise"]) for r in results] == [
        (False, True),
        (True, True),
        (False, False),
    ]
    assert len({r["minp"] for r in results}) == 3


def test_single_gallery_shots(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--draws", 7)
    assert "cuhk03-single-shot, one gallery image a person by another camera, mean of 7 draws of seed 0" in done.out
    assert done.out.splitlines()[2].split()[4:] == ["–", "–"]
    assert "8 queries, 4 gallery images." in done.out


def test_an_output_that_cannot_be_written_is_said(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--output", tmp_path / "nowhere" / "result.json")
    assert done.code == 1
    assert "cannot write" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_is_said(run, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", tmp_path, "--data", figures)
    assert done.code == 1
    assert str(tmp_path) in done.err
