"""A figure of panels of curves, two side by side, each with its legend below.

Lengths are in inches. Axes are placed by hand, so that those of all panels are equally large and aligned: constrained
layout shrinks panels with long legends or two axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from passerby.figures.layout import add_axes, wrap_text
from passerby.figures.style import FONT, SERIES, STYLES

_COLUMNS, _WIDTH, _HEIGHT = 2, 4.6, 2.6
"""The panels side by side, the width of a panel, and the height of its axes."""
_LEFT, _RIGHT, _ABOVE, _LABEL, _BELOW, _BETWEEN, _LINE = 0.62, 0.15, 0.3, 0.47, 0.65, 0.14, 0.145


class Panel(NamedTuple):
    """A panel that is drawn into its place in the figure."""

    draw: Callable[[Place], None]
    lines: int
    """The number of lines of the legend."""


def panels_figure(panels: Sequence[Panel], *, title: str) -> Figure:
    """Draw panels two side by side, in as many rows as needed."""
    rows = [panels[i : i + _COLUMNS] for i in range(0, len(panels), _COLUMNS)]
    width = _WIDTH * len(rows[0])
    heading = wrap_text(title, width)
    above = 0.15 + 0.17 * len(heading.splitlines())
    heights = [_ABOVE + _HEIGHT + _BELOW + _LINE * max(panel.lines for panel in row) for row in rows]
    figure = Figure(figsize=(width, above + sum(heights)), facecolor="white")
    figure.text(0.5, 1 - 0.1 / figure.get_figheight(), heading, fontsize=FONT + 1, ha="center", va="top")
    for number, row in enumerate(rows):
        for column, panel in enumerate(row):
            panel.draw(Place(figure, column * _WIDTH, above + sum(heights[:number])))
    return figure


@dataclass(frozen=True)
class Place:
    """The place of a panel in a figure."""

    figure: Figure
    left: float
    top: float
    """The distance from the top of the figure."""

    def single(self, title: str, x: str, y: str) -> Axes:
        """Add the only axes of the panel, with a title and labels."""
        [axes] = self.stacked(1)
        return label_axes(axes, title, x, y)

    def stacked(self, *shares: float) -> list[Axes]:
        """Add axes below each other, with these shares of the height."""
        free, places, down = _HEIGHT - _BETWEEN * (len(shares) - 1), [], self.top + _ABOVE
        for share in shares:
            height = free * share / sum(shares)
            bottom = self.figure.get_figheight() - down - height
            width = _WIDTH - _LEFT - _RIGHT
            places.append(add_axes(self.figure, left=self.left + _LEFT, bottom=bottom, width=width, height=height))
            down += height + _BETWEEN
        return places

    def legend(self, lines: Sequence[Any]) -> None:
        """Draw the legend below the axes; long labels are wrapped."""
        for line in lines:
            wrapped = (wrap_text(text, _WIDTH - 0.8, font=FONT - 1) for text in line.get_label().splitlines())
            line.set_label("\n".join(wrapped))
        width, height = self.figure.get_size_inches()
        middle, down = self.left + (_LEFT + _WIDTH - _RIGHT) / 2, self.top + _ABOVE + _HEIGHT + _LABEL
        self.figure.legend(
            handles=lines, loc="upper center", bbox_to_anchor=(middle / width, 1 - down / height),
            fontsize=FONT - 1, frameon=False, handlelength=3.5, borderaxespad=0,
        )  # fmt: skip


def label_axes(axes: Axes, title: str, x: str, y: str) -> Axes:
    """Set title, labels and grid of some axes."""
    axes.set_title(title, fontsize=FONT + 1)
    axes.set_xlabel(x, fontsize=FONT)
    axes.set_ylabel(y, fontsize=FONT)
    axes.tick_params(labelsize=FONT)
    axes.grid(alpha=0.3)
    return axes


def draw_line(axes: Axes, number: int, x: Any, y: Any, **style: Any) -> Line2D:
    """Draw the line of the run of this number, with its color and line style."""
    (line,) = axes.plot(x, y, **{"color": SERIES[number], "linestyle": STYLES[number], "linewidth": 1.4} | style)
    return line
