from __future__ import annotations

from pathlib import Path

import pytest

from passerby.report import figure


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
