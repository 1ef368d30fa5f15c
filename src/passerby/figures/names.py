"""What several runs are called in one figure: as briefly as tells them apart."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

_PIECE = re.compile(r"[^\s_/]*[\s_/]*")


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


def broken(name: str, letters: int) -> list[str]:
    """Into lines, after _ and / rather than within a word.

    >>> broken("attention_driven_baseline", 20)
    ['attention_driven_', 'baseline']
    """
    lines = [""]
    for piece in _PIECE.findall(name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return [part for line in lines for part in textwrap.wrap(line, letters)]


def wrapped(text: str, inches: float, *, font: float = 9) -> str:
    """Broken into lines that a figure of such a width holds."""
    return "\n".join(textwrap.wrap(text, max(20, int(inches * 72 / (0.55 * font)))))
