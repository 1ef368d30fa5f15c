"""The numbers and names of figures: never 0 for a small number, and never certain."""

from __future__ import annotations

from passerby.explain.format import format_number, format_probability, run_names


def test_numbers_of_any_scale() -> None:
    distances = (0.0, 5.4e-6, 0.123456, 12.3456, 999.94, 999.96, 2104.3, 99999.5)
    expected = ["0.000", "5.400e-06", "0.1235", "12.35", "999.9", "1,000", "2,104", "100,000"]
    assert [format_number(distance) for distance in distances] == expected


def test_probabilities_are_never_certain() -> None:
    assert [format_probability(p) for p in (1.0, 0.0, 0.5, 0.991)] == ["P > 0.99", "P < 0.01", "P = 0.50", "P > 0.99"]


def test_run_names_are_as_short_as_they_differ() -> None:
    assert run_names(["runs/a", "runs/b"]) == ("a", "b")
    assert run_names(["x/a/0", "x/b/0", "y/b/1"]) == ("a/0", "b/0", "b/1")
    assert run_names(["/runs/a"]) == ("a",)
    assert run_names(["runs/a", "runs/a/"]) == ("a", "a")
    assert run_names([]) == ()
