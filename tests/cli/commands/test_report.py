from __future__ import annotations

from pathlib import Path

import pytest

from passerby.report import figure

FORMER = Path(__file__).resolve().parents[2] / "former"


def test_a_page_is_written(run, trained: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "encode_figure", lambda _: ("image/png", b""))
    page = tmp_path / "report.html"
    done = run("report", trained, "--data", figures, "-o", page)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{page}: ")
    assert page.read_text().startswith("<!doctype html>")


def test_errors_are_one_line(run, trained: Path, tmp_path: Path) -> None:
    assert (
        "is not a run folder (no config.json, no model.json)" in run("report", tmp_path, "-o", tmp_path / "r.html").err
    )
    assert "make it first" in run("report", trained, "-o", tmp_path / "no" / "r.html").err
    assert "the same run" in run("report", trained, trained, "-o", tmp_path / "r.html").err
    assert not (tmp_path / "r.html").exists()


def test_a_page_of_precomputed_embeddings(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "encode_figure", lambda _: ("image/png", b""))
    page = tmp_path / "report.html"
    done = run("report", "--features", FORMER / "features.npz", "--features", FORMER / "features.parquet", "-o", page)
    assert done.code == 0
    assert done.out.startswith(f"{page}: ")
    assert "not in the report: ranked lists" in done.err
    assert "Differences to features.npz" in page.read_text()
    assert "Verification of same and different pairs; no calibration." in page.read_text()


def test_embeddings_exclude_what_embeds_images(run, trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    file = FORMER / "features.npz"
    given = {"RUN": (trained,), "--data": ("--data", tmp_path), "--blur": ("--no-blur",)}
    for name, options in given.items():
        done = run("report", *options, "--features", file, "-o", page)
        assert done.code == 1
        assert f"{name} has no effect with --features, which are embeddings already. Fix: leave it out" in done.err
    assert "nothing to report on. Fix: give RUN, or --features FILE" in run("report", "-o", page).err
    assert not page.exists()
