"""A matrix of numbers: every number is written out, and its color tells good from bad."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from passerby.figures.style import FONT, HATCH

_EDGE = "#BBBBBB"


class MatrixCell(NamedTuple):
    """A cell of a matrix."""

    row: str
    column: str
    value: float | None
    """The value that decides the color; without one the cell is white."""
    text: str
    few: bool = False
    """The mark of a value that rests on few queries: its cell is hatched."""


def draw_matrix(
    axes: Axes, cells: Sequence[MatrixCell], rows: Sequence[str], columns: Sequence[str], *, high_is_good: bool = True
) -> None:
    """Draw a matrix with its numbers, bright where it is good; a place without a cell is white with a dash."""
    values = [cell.value for cell in cells if cell.value is not None]
    scale, colors = Normalize(min(values), max(max(values), min(values) + 0.01)), colormaps["cividis"]
    found = {(cell.row, cell.column): cell for cell in cells}
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        cell = found.get((row, column), MatrixCell(row, column, None, "–"))
        shade = (
            1.0 if cell.value is None else float(scale(cell.value)) if high_is_good else 1 - float(scale(cell.value))
        )
        color = "white" if cell.value is None else colors(shade)
        box = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, edgecolor=_EDGE, linewidth=0.5)
        if cell.few:
            box.set_hatch(HATCH)
        axes.add_patch(box)
        axes.text(
            x, y, cell.text, color="white" if shade < 0.5 else "black",
            ha="center", va="center", fontsize=FONT, bbox={"facecolor": color, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set(xticks=range(len(columns)), xticklabels=columns, yticks=range(len(rows)), yticklabels=rows)
    axes.tick_params(length=0, labelsize=FONT)
