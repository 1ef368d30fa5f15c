"""How figures and sentences write numbers and the names of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def format_number(value: float) -> str:
    """Format a number with four digits, whatever its scale: distances depend on the model.

    >>> format_number(0.123456), format_number(0.5), format_number(1234.56), format_number(5.4321e-6)
    ('0.1235', '0.5000', '1,235', '5.432e-06')
    """
    return f"{value:,.0f}" if value >= 999.95 else f"{value:#.4g}"


def format_probability(value: float) -> str:
    """Format a probability with two digits, but never as certain.

    >>> format_probability(0.999), format_probability(0.25)
    ('P > 0.99', 'P = 0.25')
    """
    if value > 0.99:
        return "P > 0.99"
    return "P < 0.01" if value < 0.01 else f"P = {value:.2f}"


def run_names(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """Return the shortest path endings that differ between all runs; of two equal paths, the whole path.

    >>> run_names(["runs/aanet", "runs/baseline"]), run_names(["a/run", "b/run"])
    (('aanet', 'baseline'), ('a/run', 'b/run'))
    """
    parts = [Path(path).expanduser().absolute().parts for path in paths]
    longest = max(map(len, parts), default=1)
    for length in range(1, longest + 1):
        names = tuple(str(Path(*each[-length:])) for each in parts)
        if len(set(names)) == len(set(parts)):
            return names
    return tuple(map(str, paths))
