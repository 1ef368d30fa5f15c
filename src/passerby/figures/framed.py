"""A picture in a frame with words below: what strips of a search and ranked lists are made of. Lengths are inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from passerby.figures.style import FONT, RIGHT, WRONG, Frame
from passerby.types import Role

LINE = 0.155
"""Of a caption."""
GAP = 0.16
"""Between pictures, and around all of them."""
CHARACTER = 0.078
"""The widest that a letter of a caption is."""
_WIDEST = 1.5  # times as wide as high: a wider picture is fitted within


@dataclass(frozen=True, eq=False)
class Framed:
    """A picture, its frame, and what is said of it, line by line."""

    image: Image.Image
    caption: Sequence[str]
    frame: Frame


def who(pid: int | None, camid: int | None, role: Role = Role.PERSON) -> list[str]:
    """Lines of a caption; nothing of what nobody knows. Junk and distractors are nobody, whatever number they have."""
    person = [] if pid is None else [f"person {pid}"]
    camera = [] if camid is None else [f"camera {camid}"]
    return [*(person if role is Role.PERSON else [role.name.lower()]), *camera]


def cell_width(pictures: Sequence[Framed], height: float) -> float:
    """What holds the widest picture of this height and the longest line below one."""
    widest = max(height * each.image.width / each.image.height for each in pictures)
    longest = max(len(line) for each in pictures for line in each.caption)
    return max(min(widest, _WIDEST * height), longest * CHARACTER)


def place(figure: Figure, what: Framed, *, left: float, bottom: float, width: float, height: float) -> Axes:
    """Draw it, fitted into a cell; its caption is below the cell."""
    whole_width, whole_height = figure.get_size_inches()
    axes = figure.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))
    axes.imshow(what.image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=what.frame.color, linewidth=3)
    axes.annotate(
        "\n".join(what.caption), (0.5, 0), (0, -5), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=FONT, color=what.frame.color if what.frame in (RIGHT, WRONG) else "black",
    )  # fmt: skip
    return axes
