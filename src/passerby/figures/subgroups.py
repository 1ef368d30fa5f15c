"""Metrics by subgroup: pairs of cameras as a matrix, attributes and visibility as bars with intervals.

Color alone carries no meaning: every number is written out, and values of few queries are hatched.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from passerby.errors import ConfigError
from passerby.figures.matrix import MatrixCell, draw_matrix
from passerby.figures.style import FONT, HATCH
from passerby.metrics.subgroups import FEW, Dimension, Subgroup

BAR, BAR_OF_FEW, WHOLE, EDGE = "#56B4E9", "#D9EEF9", "#D55E00", "#5A7F96"
_CELL, _LEAST_SIDE, _AROUND = 0.68, 2.6, 1.25  # inches, as all that follows
_ROW, _HEAD, _BARS = 0.23, 1.1, 6.2
_TITLE, _FOOT = 0.75, 0.35
_GAP = 0.6  # of a row, between groups
_VALUE = 36  # points from the axes to the end of a number
_CHARACTERS = 12  # of an inch
_COUNTED = f"n: queries; * and hatched: fewer than {FEW}."
_BARRED = "p: identities. Whiskers: 95\u00a0% intervals, by bootstrap over the queries."
_BY: dict[Dimension, str] = {
    "attributes": "attribute",
    "visibility": "visible keypoints of the query (of 18)",
}
_COLUMNS: tuple[tuple[Dimension, ...], ...] = (("cameras", "visibility"), ("attributes",))


class _Panel(NamedTuple):
    width: float
    height: float
    draw: Callable[[Axes], None]


def subgroup_figure(subgroups: Sequence[Subgroup], *, mean_ap: float | None = None, title: str) -> Figure:
    """Draw the matrix of cameras and the bars of visibility, and beside them the bars of attributes.

    Args:
        mean_ap: the mAP of all queries, drawn as a line.
        title: the model, data and protocol.

    Raises:
        ConfigError: if there are no subgroups.
    """
    if not subgroups:
        raise ConfigError("there are no subgroups to draw. Fix: name other --slices")
    found = {name: list(each) for name, each in groupby(subgroups, key=lambda each: each.dimension)}
    panels = {name: _matrix(each) if name == "cameras" else _bars(each, mean_ap) for name, each in found.items()}
    columns = [[panels[name] for name in names if name in panels] for names in _COLUMNS]
    columns = [column for column in columns if column]
    widths = [max(panel.width for panel in column) for column in columns]
    height = _TITLE + _FOOT + max(sum(panel.height for panel in column) for column in columns)
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.05)
    figure = Figure(figsize=(sum(widths), height), facecolor="white", layout=engine)
    figure.suptitle("\n".join(textwrap.wrap(title, int(sum(widths) * _CHARACTERS))), fontsize=FONT + 1)
    key = _COUNTED if found.keys() == {"cameras"} else f"{_COUNTED} {_BARRED}"
    figure.supxlabel("\n".join(textwrap.wrap(key, int(sum(widths) * _CHARACTERS))), fontsize=FONT)
    parts = figure.subfigures(1, len(columns), width_ratios=widths, squeeze=False)[0]
    for part, column in zip(parts, columns, strict=True):
        ratios = [panel.height for panel in column]
        rows = part.subplots(len(column), 1, height_ratios=ratios, squeeze=False)[:, 0]
        for axes, panel in zip(rows, column, strict=True):
            panel.draw(axes)
    return figure


def _count(each: Subgroup) -> str:
    return f"n {each.queries:,}{'*' if each.few else ''}"


def _matrix(subgroups: Sequence[Subgroup]) -> _Panel:
    """Lay out a matrix with one row per query camera and one column per gallery camera."""
    asked, seen = (sorted({getattr(each, side) for each in subgroups}, key=int) for side in ("group", "value"))
    width, height = (max(_LEAST_SIDE, _CELL * len(side)) + _AROUND for side in (seen, asked))
    return _Panel(width, height, lambda axes: _draw_matrix(axes, subgroups, asked, seen))


def _draw_matrix(axes: Axes, subgroups: Sequence[Subgroup], asked: Sequence[str], seen: Sequence[str]) -> None:
    cells = [
        MatrixCell(each.group, each.value, each.mean_ap, f"{100 * each.mean_ap:.1f}\n{_count(each)}", each.few)
        for each in subgroups
    ]
    draw_matrix(axes, cells, asked, seen)
    axes.set_xlabel("gallery camera (–: no true matches)", fontsize=FONT)
    axes.set_ylabel("query camera", fontsize=FONT)
    axes.set_title("mAP of each pair of cameras alone, %", fontsize=FONT + 1)


def _bars(subgroups: Sequence[Subgroup], mean_ap: float | None) -> _Panel:
    groups = len({each.group for each in subgroups})
    return _Panel(
        _BARS, _HEAD + _ROW * (len(subgroups) + _GAP * groups), lambda axes: _draw_bars(axes, subgroups, mean_ap)
    )


def _draw_bars(axes: Axes, subgroups: Sequence[Subgroup], mean_ap: float | None) -> None:
    """Draw one bar per subgroup with its numbers beside it, and small gaps between groups."""
    groups = list(dict.fromkeys(each.group for each in subgroups))
    places = [row + _GAP * groups.index(each.group) for row, each in enumerate(subgroups)]
    for y, each in zip(places, subgroups, strict=True):
        color, hatch = (BAR_OF_FEW, HATCH) if each.few else (BAR, None)
        axes.barh(y, 100 * each.mean_ap, height=0.8, color=color, hatch=hatch, edgecolor=EDGE, linewidth=0.5)
        ends = [100 * end for end in each.mean_ap_interval]
        axes.plot(ends, [y, y], color="black", linewidth=1, marker="|", markersize=5)
        _beside(axes, y, _VALUE, f"{100 * each.mean_ap:.1f}", "right")
        _beside(axes, y, _VALUE + FONT, f"{_count(each)}, p {each.people:,}", "left")
    highest = max(each.mean_ap_interval[1] for each in subgroups)
    axes.set(xlim=(0, min(100, 10 * (int(10 * highest) + 1))), ylim=(places[-1] + 0.7, -0.7), yticks=places)
    axes.set_yticklabels([_bar_label(each, groups) for each in subgroups])
    _draw_overall(axes, mean_ap)
    axes.set_title(f"mAP by {_BY[subgroups[0].dimension]}, %", fontsize=FONT + 1, pad=18)
    axes.tick_params(axis="both", labelsize=FONT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _beside(axes: Axes, y: float, points: float, text: str, side: Literal["left", "right"]) -> None:
    """Write text to the right of the axes, with its ``side`` ``points`` away."""
    axes.annotate(
        text, (1, y), (points, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        ha=side, va="center", fontsize=FONT, annotation_clip=False,
    )  # fmt: skip


def _draw_overall(axes: Axes, mean_ap: float | None) -> None:
    """Draw a line at the mAP of all queries."""
    if mean_ap is not None:
        axes.axvline(100 * mean_ap, color=WHOLE, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"all queries {100 * mean_ap:.1f}", (100 * mean_ap, 1), (0, 2), xycoords=axes.get_xaxis_transform(),
            textcoords="offset points", color=WHOLE, ha="center", va="bottom", fontsize=FONT,
        )  # fmt: skip


def _bar_label(each: Subgroup, groups: Sequence[str]) -> str:
    return each.value if len(groups) == 1 and each.dimension == "visibility" else f"{each.group}: {each.value}"
