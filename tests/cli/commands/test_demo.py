"""The demo's frame; tests/test_story.py trains, evaluates and searches for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passerby.cli.commands import demo

Commands = list[list[str]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands are recorded instead of run; what the demo itself reads is put where they would."""
    recorded: Commands = []

    def record(*arguments: object) -> None:
        words = [str(a) for a in arguments]
        recorded.append(words)
        if words[1] == "synthesize":
            query = Path(words[2]) / "query"
            query.mkdir(parents=True)
            (query / "0061_c1s1_000001_00.jpg").touch()
            (query / "0061_c2s1_000001_00.jpg").touch()
        if words[0] == "evaluate":
            Path(words[-1]).write_text(json.dumps({"cmc": {"1": 0.614}}))

    monkeypatch.setattr(demo, "_passerby", record)
    return recorded


def test_it_goes_the_whole_way(run, commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run("demo", "--output", out)
    assert done.code == 0
    assert [c[:2] if c[0] == "data" else c[:1] for c in commands] == [
        ["data", "synthesize"], ["data", "sheet"], ["evaluate"], ["embed"], ["search"], ["explain"], ["report"],
    ]  # fmt: skip
    assert f"{out / 'data'}::query/0061_c1s1_000001_00.jpg" in commands[-3]
    assert {c[1] for c in commands[2:]} == {"street"}


def test_it_trains_where_that_is_asked_for(run, commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run("demo", "--output", out, "--train")
    assert done.code == 0
    assert [c[:2] if c[0] == "data" else c[:1] for c in commands] == [
        ["data", "synthesize"], ["data", "sheet"], ["train"], ["evaluate"], ["embed"], ["search"], ["explain"],
        ["report"],
    ]  # fmt: skip
    assert {c[1] for c in commands[3:]} == {str(out / "run")}


def test_the_last_line_says_what_was_made_and_where(run, commands: Commands, tmp_path: Path) -> None:
    last = run("demo", "--output", tmp_path / "demo").out.splitlines()[-1]
    for made in ("people.png", "search.png", "match.png", "report.html"):
        assert str(tmp_path / "demo" / made) in last
    assert "with street, which ranks the true one of 15 people it never saw first in 61 of 100 searches" in last


def test_it_replaces_its_own_folder(run, commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    run("demo", "--output", out)
    (out / "run").mkdir()
    assert run("demo", "--output", out).code == 0
    assert not (out / "run").exists()


def test_it_leaves_other_folders_alone(run, commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = run("demo", "--output", tmp_path)
    assert done.code == 1
    assert "no demo made it" in done.err
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]
    assert commands == []


def test_a_failing_step_ends_it(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TRAINED_PEOPLE", 2)
    monkeypatch.setattr(demo, "SETTINGS", ("optimzer.lr=1",))
    done = run("demo", "--output", tmp_path / "demo", "--train")
    assert done.code == 1
    assert done.err.startswith("passerby: unknown setting 'optimzer.lr'")
    assert "$ passerby embed" not in done.out
