"""Numbers as figures and sentences write them, one way for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def format_number(distance: float) -> str:
    """Up to four digits, whatever the scale: models compare embeddings of length 1, or as they are.

    >>> number(0.123456), number(1234.56), number(5.4321e-6)
    ('0.1235', '1,235', '5.432e-06')
    """
    return f"{distance:,.0f}" if distance >= 999.95 else f"{distance:.4g}"


def format_probability(value: float) -> str:
    """Two digits, but never certain.

    >>> probability(0.999), probability(0.25)
    ('P > 0.99', 'P = 0.25')
    """
    if value > 0.99:
        return "P > 0.99"
    return "P < 0.01" if value < 0.01 else f"P = {value:.2f}"


def run_names(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """The last parts of each path, as many as all of them need to differ; of two equal paths, the whole.

    >>> run_names(["runs/aanet", "runs/baseline"]), run_names(["a/run", "b/run"])
    (('aanet', 'baseline'), ('a/run', 'b/run'))
    """
    parts = [Path(path).expanduser().absolute().parts for path in paths]
    longest = max(map(len, parts), default=1)
    for length in range(1, longest + 1):
        names = tuple(str(Path(*some[-length:])) for some in parts)
        if len(set(names)) == len(set(parts)):
            return names
    return tuple(map(str, paths))
