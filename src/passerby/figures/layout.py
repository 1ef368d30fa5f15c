"""Pictures and maps over them as a table: a row a picture, a column a map, words above and below. All in inches."""

from __future__ import annotations

import re
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

from passerby.figures.overlay import overlay_heatmap
from passerby.figures.style import FONT, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Role, Sample

_PIECE = re.compile(r"[^\s_/]*[\s_/]*")
LINE = 0.155
"""Of a caption."""
GAP = 0.16
"""Between pictures, and around all of them."""
CHARACTER = 0.078
"""The widest that a letter of a caption is."""
_WIDEST = 1.5  # times as wide as high: a wider picture is fitted within


@dataclass(frozen=True, eq=False)
class FramedImage:
    """A picture, its frame, and what is said of it, line by line."""

    image: Image.Image
    caption: Sequence[str]
    frame: Frame


def caption_lines(pid: int | None, camid: int | None, role: Role = Role.PERSON) -> list[str]:
    """Lines of a caption; nothing of what nobody knows. Junk and distractors are nobody, whatever number they have."""
    person = [] if pid is None else [f"person {pid}"]
    camera = [] if camid is None else [f"camera {camid}"]
    return [*(person if role is Role.PERSON else [role.name.lower()]), *camera]


def cell_width(pictures: Sequence[FramedImage], height: float) -> float:
    """What holds the widest picture of this height and the longest line below one."""
    widest = max(height * each.image.width / each.image.height for each in pictures)
    longest = max(len(line) for each in pictures for line in each.caption)
    return max(min(widest, _WIDEST * height), longest * CHARACTER)


def draw_framed(figure: Figure, what: FramedImage, *, left: float, bottom: float, width: float, height: float) -> Axes:
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


def break_name(name: str, letters: int) -> list[str]:
    """Into lines, after _ and / rather than within a word.

    >>> broken("attention_driven_baseline", 20)
    ['attention_driven_', 'baseline']
    """
    lines = [""]
    for piece in _PIECE.findall(name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return [part for line in lines for part in textwrap.wrap(line, letters)]


def wrap_text(text: str, inches: float, *, font: float = 9) -> str:
    """Broken into lines that a figure of such a width holds."""
    return "\n".join(textwrap.wrap(text, max(20, int(inches * 72 / (0.55 * font)))))


HEIGHT = 1.6
"""Of a picture."""
_SHARP = 480  # pixels of a picture's height, at which maps are laid over it
_LETTER = 0.068  # of text that need not fit into a column
_LEAST = 6.0  # width of a figure
_BESIDE = 0.08  # between columns
_NAME = 14  # letters of a file


class LabeledBox(NamedTuple):
    """A rectangle on a picture, in parts of its width and height, with what it is called."""

    left: float
    top: float
    right: float
    bottom: float
    name: str = ""


@dataclass(frozen=True, eq=False)
class ImageCell:
    """A picture with what is drawn on it, and its caption line by line."""

    image: Image.Image
    caption: Sequence[str] = ()
    boxes: Sequence[LabeledBox] = ()
    frame: Frame = UNKNOWN


def sample_caption(sample: Sample) -> list[str]:
    """A picture's caption: who is seen, else the file, the end of whose name tells more of it."""
    name = sample.path.rsplit("/", 1)[-1]
    return caption_lines(sample.pid, sample.camid, sample.role) or [
        name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
    ]


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


def image_table(rows: Sequence[Sequence[ImageCell]], heads: Sequence[str], *, title: str, foot: str = "") -> Figure:
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


def _column(rows: Sequence[Sequence[ImageCell]], heads: Sequence[str]) -> float:
    """As wide as the widest picture, the longest line below one, and the longest word above one."""
    picture = max(cell.image.width / cell.image.height for row in rows for cell in row) * HEIGHT
    lines = [line for row in rows for cell in row for line in cell.caption]
    words = [word for head in heads for word in head.split()]
    return max(picture, CHARACTER * max(map(len, lines + words)))


def _draw(axes: Axes, cell: ImageCell) -> None:
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
