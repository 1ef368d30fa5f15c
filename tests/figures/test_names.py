from __future__ import annotations

from passerby.explain.format import run_names
from passerby.figures.layout import break_name, wrap_text


def test_runs_are_called_as_briefly_as_tells_them_apart() -> None:
    assert run_names(["runs/a", "runs/b"]) == ("a", "b")
    assert run_names(["x/a/0", "x/b/0", "y/b/1"]) == ("a/0", "b/0", "b/1")
    assert run_names(["/runs/a"]) == ("a",)
    assert run_names(["runs/a", "runs/a/"]) == ("a", "a")
    assert run_names([]) == ()


def test_a_title_is_broken_to_fit() -> None:
    lines = wrap_text("word " * 40, 4.0).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 4 * 72 / (0.55 * 9)


def test_names_are_broken_between_words() -> None:
    assert break_name("attention_driven", 11) == ["attention_", "driven"]
    assert break_name("attention_driven", 16) == ["attention_driven"]
    assert break_name("runs/some, filtered by hand", 15) == ["runs/some,", "filtered by", "hand"]
    assert break_name("0123456789", 4) == ["0123", "4567", "89"]
    assert break_name("", 4) == []
