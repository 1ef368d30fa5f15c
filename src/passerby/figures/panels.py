"""A figure of panels, each with its legend below: what is read off a curve stands beside its line's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from passerby.figures.layout import wrap_text
from passerby.figures.style import FONT, SERIES, STYLES

_COLUMNS, _WIDTH, _HEIGHT = 2, 4.6, 2.6
"""Panels side by side; inches of a panel and of its axes, as all that follows."""
_LEFT, _RIGHT, _ABOVE, _LABEL, _BELOW, _BETWEEN, _LINE = 0.62, 0.15, 0.3, 0.47, 0.65, 0.14, 0.145


class Panel(NamedTuple):
    """Something that is drawn into its place."""

    draw: Callable[[Place], None]
    lines: int
    """Of its legend."""


def panels_figure(panels: Sequence[Panel], *, title: str) -> Figure:
    """Two side by side, as many rows as there are."""
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
    """Of a panel in a figure; axes of all panels are equally large and stand in line."""

    figure: Figure
    left: float
    """Inches, as all that follows."""
    top: float

    def one(self, title: str, x: str, y: str) -> Axes:
        """The panel's only axes, with a title and labels."""
        [axes] = self.axes(1)
        return dressed(axes, title, x, y)

    def axes(self, *shares: float) -> list[Axes]:
        """One above the other, with such shares of the height."""
        width, height = self.figure.get_size_inches()
        left, wide = (self.left + _LEFT) / width, (_WIDTH - _LEFT - _RIGHT) / width
        free, places, down = _HEIGHT - _BETWEEN * (len(shares) - 1), [], self.top + _ABOVE
        for share in shares:
            high = free * share / sum(shares)
            places.append(self.figure.add_axes((left, 1 - (down + high) / height, wide, high / height)))
            down += high + _BETWEEN
        return places

    def legend(self, lines: Sequence[Any]) -> None:
        """Below the axes; too long a text is broken."""
        for line in lines:
            broken = (wrap_text(text, _WIDTH - 0.8, font=FONT - 1) for text in line.get_label().splitlines())
            line.set_label("\n".join(broken))
        width, height = self.figure.get_size_inches()
        middle, down = self.left + (_LEFT + _WIDTH - _RIGHT) / 2, self.top + _ABOVE + _HEIGHT + _LABEL
        self.figure.legend(
            handles=lines, loc="upper center", bbox_to_anchor=(middle / width, 1 - down / height),
            fontsize=FONT - 1, frameon=False, handlelength=3.5, borderaxespad=0,
        )  # fmt: skip


def dressed(axes: Axes, title: str, x: str, y: str) -> Axes:
    axes.set_title(title, fontsize=FONT + 1)
    axes.set_xlabel(x, fontsize=FONT)
    axes.set_ylabel(y, fontsize=FONT)
    axes.tick_params(labelsize=FONT)
    axes.grid(alpha=0.3)
    return axes


def line_of(axes: Axes, number: int, x: Any, y: Any, **how: Any) -> Line2D:
    """The line of the run of this number, by color and style."""
    (line,) = axes.plot(x, y, **{"color": SERIES[number], "linestyle": STYLES[number], "linewidth": 1.4} | how)
    return line
