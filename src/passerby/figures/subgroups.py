"""Slices of an evaluation as a picture: the pairs of cameras as a matrix, the others as bars with intervals.

Colors are cividis' and one of Okabe and Ito's palette, which color-blind readers tell apart; every number is written
out, and what rests on few queries is hatched, so that no color need be seen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby, product
from typing import Literal, NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from passerby.errors import ConfigError
from passerby.metrics.subgroups import FEW, Dimension, Subgroup

BAR, BAR_OF_FEW, WHOLE, EDGE, EDGE_OF_CELL = "#56B4E9", "#D9EEF9", "#D55E00", "#5A7F96", "#BBBBBB"
_HATCH = "////"
_CELL, _LEAST_SIDE, _AROUND = 0.68, 2.6, 1.25  # inches, as all that follows
_ROW, _HEAD, _BARS = 0.23, 1.1, 6.2
_TITLE, _FOOT = 0.75, 0.35
_GAP = 0.6  # of a row, between groups
_SIZE = 8  # points
_VALUE = 36  # points from the axes to the end of a number
_CHARACTERS = 12  # of an inch
_COUNTED = f"n: queries; * and hatched: fewer than {FEW}."
_BARRED = "p: people whom they show. Whiskers: 95\u00a0%, by bootstrap over the queries."
_BY: dict[Dimension, str] = {
    "attributes": "what is said of the person",
    "visibility": "how many of a query's 18 joints can be seen",
}
_COLUMNS: tuple[tuple[Dimension, ...], ...] = (("cameras", "visibility"), ("attributes",))


class _Panel(NamedTuple):
    width: float
    height: float
    draw: Callable[[Axes], None]


def subgroup_figure(slices: Sequence[Subgroup], *, mean_ap: float | None = None, title: str) -> Figure:
    """The matrix of cameras and the bars of visibility, beside them the bars of attributes.

    Args:
        mean_ap: of all queries, a line among the bars.
        title: says of which model, on which data, under which protocol.

    Raises:
        ConfigError: if there are no slices.
    """
    if not slices:
        raise ConfigError("there are no slices to draw")
    found = {name: list(some) for name, some in groupby(slices, key=lambda each: each.dimension)}
    panels = {name: _matrix(some) if name == "cameras" else _bars(some, mean_ap) for name, some in found.items()}
    columns = [[panels[name] for name in names if name in panels] for names in _COLUMNS]
    columns = [column for column in columns if column]
    widths = [max(panel.width for panel in column) for column in columns]
    height = _TITLE + _FOOT + max(sum(panel.height for panel in column) for column in columns)
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.05)
    figure = Figure(figsize=(sum(widths), height), facecolor="white", layout=engine)
    figure.suptitle("\n".join(textwrap.wrap(title, int(sum(widths) * _CHARACTERS))), fontsize=_SIZE + 1)
    key = _COUNTED if found.keys() == {"cameras"} else f"{_COUNTED} {_BARRED}"
    figure.supxlabel("\n".join(textwrap.wrap(key, int(sum(widths) * _CHARACTERS))), fontsize=_SIZE)
    parts = figure.subfigures(1, len(columns), width_ratios=widths, squeeze=False)[0]
    for part, column in zip(parts, columns, strict=True):
        ratios = [panel.height for panel in column]
        rows = part.subplots(len(column), 1, height_ratios=ratios, squeeze=False)[:, 0]
        for axes, panel in zip(rows, column, strict=True):
            panel.draw(axes)
    return figure


def _count(some: Subgroup) -> str:
    return f"n {some.queries:,}{'*' if some.few else ''}"


def _matrix(slices: Sequence[Subgroup]) -> _Panel:
    """A row a camera of queries, a column a camera of the gallery."""
    asked, seen = (sorted({getattr(some, side) for some in slices}, key=int) for side in ("group", "value"))
    width, height = (max(_LEAST_SIDE, _CELL * len(side)) + _AROUND for side in (seen, asked))
    return _Panel(width, height, lambda axes: _draw_matrix(axes, slices, asked, seen))


def _draw_matrix(axes: Axes, slices: Sequence[Subgroup], asked: Sequence[str], seen: Sequence[str]) -> None:
    cells = [
        Cell(some.group, some.value, some.mean_ap, f"{100 * some.mean_ap:.1f}\n{_count(some)}", some.few)
        for some in slices
    ]
    draw_cells(axes, cells, asked, seen)
    axes.set_xlabel("camera of the gallery (–: nobody to be found there)", fontsize=_SIZE)
    axes.set_ylabel("camera of the query", fontsize=_SIZE)
    axes.set_title("mAP of each pair of cameras alone, %", fontsize=_SIZE + 1)


class Cell(NamedTuple):
    """One of a matrix."""

    row: str
    column: str
    value: float | None
    """Decides the color; without one it is white."""
    text: str
    few: bool = False
    """Whether it rests on little, and is hatched."""


def draw_cells(
    axes: Axes, cells: Sequence[Cell], rows: Sequence[str], columns: Sequence[str], *, high_is_good: bool = True
) -> None:
    """A matrix with its numbers written out, as high as wide where the axes are, bright where it is good.

    A place without a cell is white and says –.
    """
    values = [cell.value for cell in cells if cell.value is not None]
    scale, colors = Normalize(min(values), max(max(values), min(values) + 0.01)), colormaps["cividis"]
    found = {(cell.row, cell.column): cell for cell in cells}
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        cell = found.get((row, column), Cell(row, column, None, "–"))
        shade = (
            1.0 if cell.value is None else float(scale(cell.value)) if high_is_good else 1 - float(scale(cell.value))
        )
        color = "white" if cell.value is None else colors(shade)
        box = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, edgecolor=EDGE_OF_CELL, linewidth=0.5)
        if cell.few:
            box.set_hatch(_HATCH)
        axes.add_patch(box)
        axes.text(
            x, y, cell.text, color="white" if shade < 0.5 else "black",
            ha="center", va="center", fontsize=_SIZE, bbox={"facecolor": color, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set(xticks=range(len(columns)), xticklabels=columns, yticks=range(len(rows)), yticklabels=rows)
    axes.tick_params(length=0, labelsize=_SIZE)


def _bars(slices: Sequence[Subgroup], mean_ap: float | None) -> _Panel:
    groups = len({some.group for some in slices})
    return _Panel(_BARS, _HEAD + _ROW * (len(slices) + _GAP * groups), lambda axes: _draw_bars(axes, slices, mean_ap))


def _draw_bars(axes: Axes, slices: Sequence[Subgroup], mean_ap: float | None) -> None:
    """A bar a slice, with a little room between groups, and its numbers beside it."""
    groups = list(dict.fromkeys(some.group for some in slices))
    places = [row + _GAP * groups.index(some.group) for row, some in enumerate(slices)]
    for y, some in zip(places, slices, strict=True):
        color, hatch = (BAR_OF_FEW, _HATCH) if some.few else (BAR, None)
        axes.barh(y, 100 * some.mean_ap, height=0.8, color=color, hatch=hatch, edgecolor=EDGE, linewidth=0.5)
        ends = [100 * end for end in some.mean_ap_interval]
        axes.plot(ends, [y, y], color="black", linewidth=1, marker="|", markersize=5)
        _beside(axes, y, _VALUE, f"{100 * some.mean_ap:.1f}", "right")
        _beside(axes, y, _VALUE + _SIZE, f"{_count(some)}, p {some.people:,}", "left")
    highest = max(some.mean_ap_interval[1] for some in slices)
    axes.set(xlim=(0, min(100, 10 * (int(10 * highest) + 1))), ylim=(places[-1] + 0.7, -0.7), yticks=places)
    axes.set_yticklabels([_name(some, groups) for some in slices])
    _of_all(axes, mean_ap)
    axes.set_title(f"mAP by {_BY[slices[0].dimension]}, %", fontsize=_SIZE + 1, pad=18)
    axes.tick_params(axis="both", labelsize=_SIZE)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _beside(axes: Axes, y: float, points: float, text: str, side: Literal["left", "right"]) -> None:
    """Text so far to the right of the axes that its ``side`` is ``points`` away."""
    axes.annotate(
        text, (1, y), (points, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        ha=side, va="center", fontsize=_SIZE, annotation_clip=False,
    )  # fmt: skip


def _of_all(axes: Axes, mean_ap: float | None) -> None:
    """A line where all queries together are."""
    if mean_ap is not None:
        axes.axvline(100 * mean_ap, color=WHOLE, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"all queries {100 * mean_ap:.1f}", (100 * mean_ap, 1), (0, 2), xycoords=axes.get_xaxis_transform(),
            textcoords="offset points", color=WHOLE, ha="center", va="bottom", fontsize=_SIZE,
        )  # fmt: skip


def _name(some: Subgroup, groups: Sequence[str]) -> str:
    return some.value if len(groups) == 1 and some.dimension == "visibility" else f"{some.group}: {some.value}"
