"""The demo's frame; tests/test_story.py trains, evaluates and searches for real."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from passerby.cli import demo
from passerby.data.figures import write_figures


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands are recorded instead of run, and few people drawn."""
    recorded: list[list[str]] = []
    monkeypatch.setattr(demo, "_passerby", lambda *words: recorded.append([str(w) for w in words]))
    monkeypatch.setattr("passerby.data.figures.write_figures", partial(write_figures, people=2, size=(32, 16)))
    return recorded


def test_it_goes_the_whole_way(run, commands: list[list[str]], tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run("demo", "--out", out)
    assert done.code == 0
    assert [c[0] for c in commands] == ["data", "train", "embed", "search"]
    assert len(list((out / "data" / "query").iterdir())) == 3
    assert done.out.splitlines()[-1].endswith(f"open {out / 'search.png'}")


def test_it_replaces_its_own_folder(run, commands: list[list[str]], tmp_path: Path) -> None:
    out = tmp_path / "demo"
    run("demo", "--out", out)
    (out / "run").mkdir()
    assert run("demo", "--out", out).code == 0
    assert not (out / "run").exists()


def test_it_leaves_other_folders_alone(run, commands: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = run("demo", "--out", tmp_path)
    assert done.code == 1
    assert "no demo made it" in done.err
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]
    assert commands == []


def test_a_failing_step_ends_it(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.data.figures.write_figures", partial(write_figures, people=4, size=(32, 16)))
    monkeypatch.setattr(demo, "SETTINGS", ("optimzer.lr=1",))
    done = run("demo", "--out", tmp_path / "demo")
    assert done.code == 1
    assert done.err.startswith("passerby: unknown setting 'optimzer.lr'")
    assert "$ passerby embed" not in done.out
