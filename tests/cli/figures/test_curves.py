"""Curves, matrices and maps from the command line; tests/figures tests what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


def is_png(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and image.width > 300


def test_curves_of_runs(run, trained: Path, tmp_path: Path) -> None:
    done = run("figures", "curves", trained, trained, "--over", "step", "-o", tmp_path / "curves.png")
    assert (done.code, done.err) == (0, "")
    assert is_png(tmp_path / "curves.png")
    assert "no metrics.jsonl" in run("figures", "curves", tmp_path, "-o", tmp_path / "none.png").err


def test_retrieval_of_runs_and_of_features(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    file, kept = tmp_path / "retrieval.png", tmp_path / "kept.parquet"
    asked = ("figures", "retrieval", trained, "--data", figures, "-o", file)
    done = run(*asked, "--what", "cmc,pr,roc,histogram")
    assert (done.code, done.err) == (0, "")
    assert is_png(file)
    assert "none of these runs is calibrated" in run(*asked, "--what", "calibration").err
    run("evaluate", trained, "--data", figures, "--save-features", kept)
    done = run("figures", "retrieval", "--features", kept, "--features", kept, "-o", tmp_path / "features.png")
    assert (done.code, done.err) == (0, "")
    assert is_png(tmp_path / "features.png")
    done = run("figures", "cameras", "--features", kept, "-o", tmp_path / "cameras.png")
    assert (done.code, done.err) == (0, "")
    assert is_png(tmp_path / "cameras.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give RUN… and --data DATA, or --features"),
        (("--features", "a.npz", "RUN"), "RUN has no effect with --features"),
        (("--features", "a.npz", "--data", "x"), "--data has no effect"),
        (("--features", "a.npz", "--what", "calibration"), "leave calibration out"),
        (("RUN",), "add --data DATA"),
        (("RUN", "--what", "cmd"), "Did you mean cmc?"),
    ],
)
def test_contradicting_options_are_an_error(run, trained: Path, tmp_path: Path, arguments: tuple, message: str) -> None:
    given = [trained if argument == "RUN" else argument for argument in arguments]
    done = run("figures", "retrieval", *given, "-o", tmp_path / "no.png")
    assert done.code == 1
    assert message in done.err


def test_cameras_of_a_run(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    done = run("figures", "cameras", trained, "--data", figures, "-o", tmp_path / "cameras.png")
    assert (done.code, done.err) == (0, "")
    assert is_png(tmp_path / "cameras.png")


def test_a_map_of_a_run(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    asked = ("figures", "embedding", trained, "--data", figures, "-o", tmp_path / "map.png")
    done = run(*asked, "--people", 3, "--method", "tsne", "--perplexity", 4, "--seed", 1)
    assert (done.code, done.err) == (0, "")
    assert is_png(tmp_path / "map.png")
    assert run(*asked, "--color", "camera").code == 0
    assert "not of pca" in run(*asked, "--perplexity", 4).err
