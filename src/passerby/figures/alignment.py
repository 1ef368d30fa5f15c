"""The alignment of stripes, drawn between two images (:mod:`passerby.explain.matching.alignment`)."""

from __future__ import annotations

from matplotlib.axes import Axes

from passerby.explain.matching.alignment import Alignment
from passerby.figures.style import FONT, SERIES

_MAX_COST = 0.762
"""The upper bound of the cost of a step: tanh 1."""
_ROOM = 6
"""The points that a number needs."""


def draw_stripes(axes: Axes, height: int, stripes: int) -> None:
    """Draw the borders of stripes on an image of this height in pixels."""
    for i in range(1, stripes):
        axes.axhline(height * i / stripes - 0.5, color="white", linewidth=0.5, alpha=0.6)


def draw_alignment(axes: Axes, path: Alignment, *, inches: float) -> None:
    """Draw one line per step between two images, stronger for lower costs, with the cost in the middle.

    Steps go down one stripe at a time, so that numbers do not overlap; without room for them there are none.

    Args:
        inches: the height of the axes, and of the images.
    """
    stripes = path.stripes
    room = 72 * inches / sum(stripes)  # points between two numbers
    for step in path.steps:
        ends = [(2 * step.a + 1) / (2 * stripes[0]), (2 * step.b + 1) / (2 * stripes[1])]
        near = 1 - min(step.cost / _MAX_COST, 1)
        axes.plot([0, 1], ends, color=SERIES[0], linewidth=0.5 + 3 * near, alpha=0.35 + 0.65 * near)
        if room >= _ROOM:
            axes.text(
                0.5, sum(ends) / 2, f"{step.cost:.2f}", ha="center", va="center", fontsize=min(FONT, 0.8 * room),
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(1, 0))
    axes.axis("off")
    axes.set_title(f"alignment, Σ = {path.distance:.3f}", fontsize=FONT + 1)
