"""Pictures and maps over them as a table: a row a picture, a column a map, words above and below. All in inches."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from passerby.figures.framed import CHARACTER, GAP, LINE, who
from passerby.figures.overlay import overlay_heatmap
from passerby.figures.style import FONT, UNKNOWN, Frame
from passerby.types import Sample

HEIGHT = 1.6
"""Of a picture."""
_SHARP = 480  # pixels of a picture's height, at which maps are laid over it
_LETTER = 0.068  # of text that need not fit into a column
_LEAST = 6.0  # width of a figure
_BESIDE = 0.08  # between columns
_NAME = 14  # letters of a file


class Box(NamedTuple):
    """A rectangle on a picture, in parts of its width and height, with what it is called."""

    left: float
    top: float
    right: float
    bottom: float
    name: str = ""


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture with what is drawn on it, and its caption line by line."""

    image: Image.Image
    caption: Sequence[str] = ()
    boxes: Sequence[Box] = ()
    frame: Frame = UNKNOWN


def named(sample: Sample) -> list[str]:
    """A picture's caption: who is seen, else the file, the end of whose name tells more of it."""
    name = sample.path.rsplit("/", 1)[-1]
    return who(sample.pid, sample.camid, sample.role) or [name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"]


def heatmap_cell(image: Image.Image, values: Float[Tensor, "h w"], *, smooth: bool = True) -> Image.Image:
    """A picture under a map, enlarged; without color where the map is NaN.

    Args:
        smooth: whether colors run from cell to cell; else each cell has one, as a map of yes and no needs it.
    """
    large = image.resize((round(image.width * _SHARP / image.height), _SHARP), Image.Resampling.LANCZOS)
    if not smooth:
        values = interpolate(values[None, None].float(), size=(large.height, large.width), mode="nearest-exact")[0, 0]
    known = ~values.isnan()
    if bool(known.all()):
        return overlay_heatmap(large, values)
    hot = overlay_heatmap(large, values.where(known, values[known].min() if bool(known.any()) else torch.zeros(())))
    mask = Image.fromarray(np.uint8(255 * known.numpy())).resize(large.size, Image.Resampling.NEAREST)
    return Image.composite(hot, large.convert("L").convert("RGB"), mask)


def table(rows: Sequence[Sequence[Cell]], heads: Sequence[str], *, title: str, foot: str = "") -> Figure:
    """The pictures with a head a column; ``title`` above them all, ``foot`` below."""
    wide = _column(rows, heads)
    columns = len(heads) * (wide + _BESIDE) - _BESIDE
    width = max(_LEAST, columns + 2 * GAP)
    tops = [textwrap.wrap(head, int(wide / CHARACTER)) for head in heads]
    above = textwrap.wrap(title, int((width - 2 * GAP) / _LETTER * FONT / (FONT + 1)))
    below = textwrap.wrap(foot, int((width - 2 * GAP) / _LETTER))
    deep = [HEIGHT + LINE * max(len(cell.caption) for cell in row) + GAP for row in rows]
    head = GAP + LINE * 1.15 * len(above) + GAP / 2 + LINE * max(map(len, tops)) + GAP / 4
    height = head + sum(deep) + LINE * len(below) + GAP
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.5, 1 - GAP / height, "\n".join(above), ha="center", va="top", fontsize=FONT + 1)
    figure.text(GAP / width, GAP / height, "\n".join(below), ha="left", va="bottom", fontsize=FONT)
    y = height - head
    lefts = [(width - columns) / 2 + column * (wide + _BESIDE) for column in range(len(heads))]
    for left, top in zip(lefts, tops, strict=True):
        middle, bottom = (left + wide / 2) / width, (y + GAP / 4) / height
        figure.text(middle, bottom, "\n".join(top), ha="center", va="bottom", fontsize=FONT)
    for row, depth in zip(rows, deep, strict=True):
        for left, cell in zip(lefts, row, strict=True):
            _draw(figure.add_axes((left / width, (y - HEIGHT) / height, wide / width, HEIGHT / height)), cell)
        y -= depth
    return figure


def _column(rows: Sequence[Sequence[Cell]], heads: Sequence[str]) -> float:
    """As wide as the widest picture, the longest line below one, and the longest word above one."""
    picture = max(cell.image.width / cell.image.height for row in rows for cell in row) * HEIGHT
    lines = [line for row in rows for cell in row for line in cell.caption]
    words = [word for head in heads for word in head.split()]
    return max(picture, CHARACTER * max(map(len, lines + words)))


def _draw(axes: Axes, cell: Cell) -> None:
    width, height = cell.image.size
    axes.imshow(cell.image, interpolation="lanczos")
    for left, top, right, bottom, name in cell.boxes:
        corner, size = (left * width, top * height), ((right - left) * width, (bottom - top) * height)
        for color, thick in (("black", 2.5), ("white", 1.2)):
            axes.add_patch(Rectangle((corner[0] - 0.5, corner[1] - 0.5), *size, fill=False, ec=color, lw=thick))
        if name:
            box = {"facecolor": "white", "edgecolor": "black", "linewidth": 0.5, "pad": 1.2}
            middle = (corner[0] + size[0] / 2 - 0.5, corner[1] + size[1] / 2 - 0.5)
            axes.annotate(name, middle, ha="center", va="center", fontsize=FONT - 1, bbox=box)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), anchor="N")
    for spine in axes.spines.values():
        spine.set(color=cell.frame.color, linewidth=1 if cell.frame == UNKNOWN else 2.5)
    axes.annotate(
        "\n".join(cell.caption), (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=FONT, color="black" if cell.frame == UNKNOWN else cell.frame.color,
    )  # fmt: skip
