"""The shell of a gallery on disk: the commands of the program, line by line, through a pipe."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def place(figures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(figures, tmp_path / "people"))


@pytest.fixture
def folder(run: Run, trained: Path, place: Path, tmp_path: Path) -> Path:
    gallery = tmp_path / "people.gallery"
    assert run("gallery", "create", trained, gallery).code == 0
    assert run("gallery", "add", trained, gallery, place).code == 0
    return gallery


def test_lines_are_the_commands_and_errors_do_not_end_it(
    run: Run, trained: Path, folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passerby.inference import load

    query = f"{place}::query/{min(path.name for path in (place / 'query').glob('*.jpg'))}"
    loaded, given = load.load, list[object]()
    monkeypatch.setattr(load, "load", lambda *options: given.append(options) or loaded(*options))
    lines = [
        f"search '{query}' -k 2", "", "# a comment", "search missing.jpg", "searhc", "search --no-such-option",
        "search 'unclosed", "confirm 1 2", "feedback", f"search '{query}' -k 3 --other-cameras", "stats", "verify",
        "quit", "stats",
    ]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    done = run("gallery", "shell", trained, folder, "--json")
    assert done.code == 0, done.err
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(each)) for each in answers] == [
        "query", "error", "error", "error", "error", "said", "gallery", "query", "gallery", "gallery",
    ]  # fmt: skip
    assert [len(answers[n]["hits"]) for n in (0, 7)] == [2, 3]
    assert "there is no image missing.jpg" in answers[1]["error"]
    assert "no command: got 'searhc'" in answers[2]["error"]
    assert "--no-such-option" in answers[3]["error"]
    assert answers[5]["said"].startswith("row 1 and row 2: the same person")
    assert len(given) == 1, "the model is loaded once"
    alone = json.loads(run("gallery", "search", trained, folder, query, "-k", 2, "--json").out)
    assert alone == answers[0]


def test_without_json_the_output_is_that_of_the_commands(
    run: Run, trained: Path, folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = f"{place}::query/{min(path.name for path in (place / 'query').glob('*.jpg'))}"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"search '{query}' -k 2\nreject 1 1\nhelp\nhelp search\n"))
    done = run("gallery", "shell", trained, folder)
    assert done.code == 0, done.err
    assert run("gallery", "search", trained, folder, query, "-k", 2).out in done.out
    assert "passerby: both images are the row 1" in done.err
    assert "help COMMAND" in done.out
    assert "--like-id" in done.out
