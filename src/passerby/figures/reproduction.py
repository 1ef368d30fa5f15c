"""Numbers of a paper and ours as a picture: a panel a metric, a line a row of the table, two dots in it.

Colors are of Okabe and Ito's palette; the paper's dots are hollow, ours filled, so that no color need be seen.
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
    """One row; ``None`` where there is no number."""

    row: str
    paper: float | None
    ours: float | None


class Panel(NamedTuple):
    """One metric."""

    title: str
    dots: Sequence[Dots]


def comparison(title: str, conditions: str, panels: Sequence[Panel]) -> Figure:
    """The panels side by side, rows top to bottom as in the table; ``conditions`` says above them what differs."""
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


def _style(who: str) -> dict[str, Any]:
    color, face = (PAPER, "white") if who == "paper" else (OURS, OURS)
    size = 8 if who == "paper" else 5  # a ring stays seen around a dot
    return {"label": who, "marker": "o", "markersize": size, "linestyle": "", "color": color, "markerfacecolor": face}


def _draw(axes: Axes, panel: Panel) -> None:
    values = [value for dots in panel.dots for value in (dots.paper, dots.ours) if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = max(_MARGIN * (high - low), 0.02 * abs(high), 0.1)
    for y, dots in enumerate(panel.dots):
        if dots.paper is not None and dots.ours is not None:
            axes.plot([dots.paper, dots.ours], [y, y], color="#BBBBBB", linewidth=1.5, zorder=1)
        for who, value, color, above in (("paper", dots.paper, PAPER, True), ("here", dots.ours, OURS, False)):
            if value is not None:
                axes.plot([value], [y], **{**_style(who), "zorder": 2 + (not above)})
                axes.annotate(
                    f"{value:.2f}", (value, y), (0, 4.5 if above else -4.5), textcoords="offset points",
                    ha="center", va="bottom" if above else "top", fontsize=7, color=color,
                )  # fmt: skip
    axes.set_title(panel.title, fontsize=9)
    axes.set(xlim=(low - margin, high + margin), ylim=(len(panel.dots) - 0.4, -0.6), yticks=range(len(panel.dots)))
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
