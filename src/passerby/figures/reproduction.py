"""The numbers of a paper and of its reproduction: one panel per metric, one line per table row, two dots in each.

The paper's dots are hollow, those of the reproduction filled, so that no meaning rests on color alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PAPER, OURS = "#555555", "#0072B2"
_ROW, _PANEL, _LABEL, _HEAD = 0.42, 2.7, 2.6, 1.5  # inches
_MARGIN = 0.18  # of a panel's range, for the numbers beside the dots


class Dots(NamedTuple):
    """The numbers of one row of the table; ``None`` where there is none."""

    row: str
    paper: float | None
    ours: float | None


class MetricPanel(NamedTuple):
    """The dots of one metric."""

    title: str
    dots: Sequence[Dots]


def reproduction_figure(title: str, conditions: str, panels: Sequence[MetricPanel]) -> Figure:
    """Draw the panels side by side, rows as in the table; ``conditions``, above them, are the differences."""
    rows = len(panels[0].dots)
    width = _LABEL + _PANEL * max(2, len(panels))
    above = "\n".join(textwrap.wrap(title, int(width * 11)))
    below = "\n".join(textwrap.wrap(f"Differs, paper → here: {conditions}" if conditions else "", int(width * 14)))
    lines = above.count("\n") + below.count("\n")
    figure = Figure(figsize=(width, _HEAD + 0.2 * lines + _ROW * rows), layout="constrained", facecolor="white")
    figure.suptitle(f"{above}\n{below}".rstrip(), fontsize=9)
    for place, (panel, axes) in enumerate(zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True)):
        _draw(axes, panel)
        axes.set_yticklabels([dots.row for dots in panel.dots] if place == 0 else [], fontsize=8)
    handles = [figure.axes[0].plot([], [], **style)[0] for style in (_style("paper"), _style("here"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _style(side: str) -> dict[str, Any]:
    color, face = (PAPER, "white") if side == "paper" else (OURS, OURS)
    size = 8 if side == "paper" else 5  # a ring stays seen around a dot
    return {"label": side, "marker": "o", "markersize": size, "linestyle": "", "color": color, "markerfacecolor": face}


def _draw(axes: Axes, panel: MetricPanel) -> None:
    values = [value for dots in panel.dots for value in (dots.paper, dots.ours) if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = max(_MARGIN * (high - low), 0.02 * abs(high), 0.1)
    for y, dots in enumerate(panel.dots):
        if dots.paper is not None and dots.ours is not None:
            axes.plot([dots.paper, dots.ours], [y, y], color="#BBBBBB", linewidth=1.5, zorder=1)
        for side, value, color, above in (("paper", dots.paper, PAPER, True), ("here", dots.ours, OURS, False)):
            if value is not None:
                axes.plot([value], [y], **{**_style(side), "zorder": 2 + (not above)})
                axes.annotate(
                    f"{value:.2f}", (value, y), (0, 4.5 if above else -4.5), textcoords="offset points",
                    ha="center", va="bottom" if above else "top", fontsize=7, color=color,
                )  # fmt: skip
    axes.set_title(panel.title, fontsize=9)
    axes.set(xlim=(low - margin, high + margin), ylim=(len(panel.dots) - 0.4, -0.6), yticks=range(len(panel.dots)))
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)
