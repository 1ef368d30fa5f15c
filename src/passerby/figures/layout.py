"""The building blocks of figures with images: framed images with captions, tables of images, and wrapped text.

All lengths are in inches. Axes are placed by hand: matplotlib's constrained layout makes images smaller, with uneven
margins.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from passerby.figures.overlay import enlarge_with_heatmap
from passerby.figures.style import FONT, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Role, Sample

LINE = 0.155
"""The height of a line of a caption."""
GAP = 0.16
"""The gap between images, and the margin around all of them."""
CHARACTER = 0.078
"""The maximum width of a character of a caption."""
LETTER = 0.068
"""The mean width of a character of running text."""
HEIGHT = 1.6
"""The height of an image in a table."""
SCALE = "Each map has its own scale: dark is its least value, bright its greatest. Both are below the map."
"""The explanation of the colors of :func:`map_cell`."""
_MAX_ASPECT = 1.5  # width ÷ height, beyond which an image is fitted within its cell
_MIN_WIDTH = 6.0  # of a table
_BESIDE = 0.08  # between the columns of a table
_NAME = 14  # characters of a file name in a caption
_FLAT = 0.01  # range of values, below which a map selects no position
_PIECE = re.compile(r"[^\s_/]*[\s_/]*")


@dataclass(frozen=True, eq=False)
class FramedImage:
    """An image with its frame and the lines of its caption."""

    image: Image.Image
    caption: Sequence[str]
    frame: Frame


class LabeledBox(NamedTuple):
    """A rectangle on an image in fractions of its width and height, with a label."""

    left: float
    top: float
    right: float
    bottom: float
    name: str = ""


@dataclass(frozen=True, eq=False)
class ImageCell:
    """A cell of a table: an image with boxes drawn on it, its frame and the lines of its caption."""

    image: Image.Image
    caption: Sequence[str] = ()
    boxes: Sequence[LabeledBox] = ()
    frame: Frame = UNKNOWN


def caption_lines(pid: int | None, camid: int | None, role: Role = Role.PERSON) -> list[str]:
    """Return the lines of a caption, of what is known; junk and distractors have no identity, whatever ``pid`` is."""
    person = [] if pid is None else [f"person {pid}"]
    camera = [] if camid is None else [f"camera {camid}"]
    return [*(person if role is Role.PERSON else [role.name.lower()]), *camera]


def sample_caption(sample: Sample) -> list[str]:
    """Return the caption of a sample: person and camera, or else the end of the file name."""
    name = sample.path.rsplit("/", 1)[-1]
    return caption_lines(sample.pid, sample.camid, sample.role) or [
        name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
    ]


def break_name(name: str, letters: int) -> list[str]:
    """Split a name into lines, after _ and / rather than within a word.

    >>> break_name("attention_driven_baseline", 20)
    ['attention_driven_', 'baseline']
    """
    lines = [""]
    for piece in _PIECE.findall(name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return [part for line in lines for part in textwrap.wrap(line, letters)]


def wrap_text(text: str, inches: float, *, font: float = 9) -> str:
    """Wrap a text for a figure of this width."""
    return "\n".join(textwrap.wrap(text, max(20, int(inches * 72 / (0.55 * font)))))


def cell_width(images: Sequence[FramedImage], height: float) -> float:
    """Return the width of the widest image of this height, or of the longest line of a caption."""
    widest = max(height * each.image.width / each.image.height for each in images)
    longest = max(len(line) for each in images for line in each.caption)
    return max(min(widest, _MAX_ASPECT * height), longest * CHARACTER)


def add_axes(figure: Figure, *, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches from the lower left corner of the figure."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def draw_framed(
    figure: Figure, framed: FramedImage, *, left: float, bottom: float, width: float, height: float
) -> Axes:
    """Draw a framed image, fitted into a cell; the caption is below the cell."""
    axes = add_axes(figure, left=left, bottom=bottom, width=width, height=height)
    axes.imshow(framed.image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=framed.frame.color, linewidth=3)
    axes.annotate(
        "\n".join(framed.caption), (0.5, 0), (0, -5), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=FONT, color=framed.frame.color if framed.frame in (RIGHT, WRONG) else "black",
    )  # fmt: skip
    return axes


def map_cell(image: Image.Image, values: Float[Tensor, "h w"], boxes: Sequence[LabeledBox] = ()) -> ImageCell:
    """Lay a map over an image and give its range as the caption; a nearly constant map is drawn as constant."""
    known = values[~values.isnan()]
    is_flat = len(known) > 0 and bool(known.max() - known.min() < _FLAT)
    if is_flat:
        caption = f"{known.mean():.2f} all over"
    else:
        caption = f"{known.min():.2f}–{known.max():.2f}" if len(known) else "none"
    return ImageCell(enlarge_with_heatmap(image, torch.zeros_like(values) if is_flat else values), [caption], boxes)


def image_table(rows: Sequence[Sequence[ImageCell]], heads: Sequence[str], *, title: str, foot: str = "") -> Figure:
    """Draw a table of images with a head above each column, ``title`` above the table and ``foot`` below it."""
    column = _column_width(rows, heads)
    columns = len(heads) * (column + _BESIDE) - _BESIDE
    width = max(_MIN_WIDTH, columns + 2 * GAP)
    above = textwrap.wrap(title, int((width - 2 * GAP) / LETTER * FONT / (FONT + 1)))
    below = textwrap.wrap(foot, int((width - 2 * GAP) / LETTER))
    wrapped = [textwrap.wrap(head, int(column / CHARACTER)) for head in heads]
    depths = [HEIGHT + LINE * max(len(cell.caption) for cell in row) + GAP for row in rows]
    top = GAP + LINE * 1.15 * len(above) + GAP / 2 + LINE * max(map(len, wrapped)) + GAP / 4
    height = top + sum(depths) + LINE * len(below) + GAP
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.5, 1 - GAP / height, "\n".join(above), ha="center", va="top", fontsize=FONT + 1)
    figure.text(GAP / width, GAP / height, "\n".join(below), ha="left", va="bottom", fontsize=FONT)
    lefts = [(width - columns) / 2 + number * (column + _BESIDE) for number in range(len(heads))]
    y = height - top
    for left, head in zip(lefts, wrapped, strict=True):
        middle, bottom = (left + column / 2) / width, (y + GAP / 4) / height
        figure.text(middle, bottom, "\n".join(head), ha="center", va="bottom", fontsize=FONT)
    for row, depth in zip(rows, depths, strict=True):
        for left, cell in zip(lefts, row, strict=True):
            _draw_cell(add_axes(figure, left=left, bottom=y - HEIGHT, width=column, height=HEIGHT), cell)
        y -= depth
    return figure


def _column_width(rows: Sequence[Sequence[ImageCell]], heads: Sequence[str]) -> float:
    """Return the width of the widest image, of the longest line of a caption, or of the longest word of a head."""
    image = max(cell.image.width / cell.image.height for row in rows for cell in row) * HEIGHT
    lines = [line for row in rows for cell in row for line in cell.caption]
    words = [word for head in heads for word in head.split()]
    return max(image, CHARACTER * max(map(len, lines + words)))


def _draw_cell(axes: Axes, cell: ImageCell) -> None:
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
