"""Saliency maps: a row of images, below it one row of maps per run, the baseline above ours.

Fig 5 of AaP-ReID shows images, the maps of a baseline and its own. The maps explain the score of an identity, or the
distance between two images, both of which are shown (:mod:`passerby.explain.saliency.maps`). All lengths are in inches.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from passerby.errors import ConfigError
from passerby.explain.format import format_number
from passerby.explain.images import ImageSet, ModelView
from passerby.explain.saliency.maps import PairSaliency
from passerby.explain.saliency.pairs import ImagePair
from passerby.figures.layout import (
    CHARACTER,
    GAP,
    LINE,
    FramedImage,
    break_name,
    caption_lines,
    cell_width,
    draw_framed,
)
from passerby.figures.overlay import enlarge_with_heatmap
from passerby.figures.style import FONT, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Sample

_HEIGHT = 1.55
_SIDE = 1.15, 1.8  # least and greatest width of the names of runs
_BOLD = 0.076  # maximum width of a bold letter
_APART = 0.3  # between groups
_BESIDE = 0.06  # within one
_WIDEST = 8.6  # of the groups in a line
_LEAST = 5.5
_LETTERS = 13.5  # of an inch
_FRAMES: dict[bool | None, Frame] = {True: RIGHT, False: WRONG, None: UNKNOWN}
_SAME = {True: "the same person", False: "another person", None: "the nearest"}


class MapRow(NamedTuple):
    """The maps of one run over the images of a group, and the text below them."""

    maps: tuple[Image.Image, ...]
    caption: tuple[str, ...]
    """The lines of the text."""


@dataclass(frozen=True, eq=False)
class SaliencyGroup:
    """An image, or a pair of images, with the maps of each run."""

    head: str
    images: tuple[FramedImage, ...]
    rows: tuple[MapRow, ...]


def identity_groups(
    images: ImageSet,
    views: Sequence[ModelView],
    maps: Sequence[Float[Tensor, "b h w"]],
    captions: Sequence[Sequence[tuple[str, ...]]],
) -> list[SaliencyGroup]:
    """Return one group per image.

    Args:
        images: the images at their own size.
        views: the same images as the model of each run receives them.
        maps: the maps of each run.
        captions: the text below each map of each run.
    """
    groups = []
    for row, sample in enumerate(views[0].samples):
        image = images.image(sample.path)
        rows = tuple(
            MapRow((enlarge_with_heatmap(image, found[row]),), texts[row])
            for found, texts in zip(maps, captions, strict=True)
        )
        groups.append(SaliencyGroup("", (FramedImage(image, _caption(sample), UNKNOWN),), rows))
    return groups


def distance_groups(images: ImageSet, pairs: Sequence[ImagePair], maps: Sequence[PairSaliency]) -> list[SaliencyGroup]:
    """Return one group per pair; ``maps`` are those of each run."""
    groups = []
    for row, pair in enumerate(pairs):
        a, b = (images.image(sample.path) for sample in (pair.query, pair.other))
        frame = _FRAMES[pair.same]
        framed = FramedImage(a, _caption(pair.query), frame), FramedImage(b, _caption(pair.other), frame)
        rows = tuple(
            MapRow(
                (enlarge_with_heatmap(a, found.a[row]), enlarge_with_heatmap(b, found.b[row])),
                (f"d = {format_number(found.distances[row].item())}",),
            )
            for found in maps
        )
        head = f"{frame.symbol} {_SAME[pair.same]}".strip()
        groups.append(SaliencyGroup(head, framed, rows))
    return groups


def saliency_figure(groups: Sequence[SaliencyGroup], names: Sequence[str], *, title: str, foot: str = "") -> Figure:
    """Draw the groups side by side in as many lines as needed; in each line the images, then the maps of every run.

    Args:
        names: names of the runs, in the order of each group's rows.
        title: what is explained, and the data.
        foot: a remark below the figure.

    Raises:
        ConfigError: if there is nothing to draw, or a group lacks a run.
    """
    if not groups or any(len(group.rows) != len(names) for group in groups):
        raise ConfigError(f"each image needs a map of each of {', '.join(names) or 'some runs'}")
    wide = cell_width([each for group in groups for each in group.images], _HEIGHT)
    lines = _break_lines(groups, lambda group: _width(group, wide))
    widest = max(sum(_width(group, wide) + _APART for group in line) for line in lines)
    side = _side(names)
    width = max(_LEAST, side + widest + 2 * GAP)
    heading, below = (_wrapped(text, width - 2 * GAP) for text in (title, foot))
    tall = [_line_height(line, len(names)) for line in lines]
    top = 1.5 * GAP + LINE * 1.15 * len(heading)
    height = top + sum(tall) + LINE * len(below) + GAP
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(GAP / width, 1 - GAP / height, "\n".join(heading), fontsize=FONT + 1, va="top")
    figure.text(GAP / width, GAP / height, "\n".join(below), fontsize=FONT, va="bottom")
    for place_of, line in enumerate(lines):
        _draw_line(figure, line, names, upper=height - top - sum(tall[:place_of]), wide=wide, side=side)
    return figure


def _side(names: Sequence[str]) -> float:
    """Return the width of the longest line of a name."""
    least, most = _SIDE
    lines = [line for name in names for line in break_name(name, int(most / _BOLD))]
    return max([least, *(len(line) * _BOLD + GAP / 2 for line in lines)])


def _draw_line(
    figure: Figure, line: Sequence[SaliencyGroup], names: Sequence[str], *, upper: float, wide: float, side: float
) -> None:
    width, height = figure.get_size_inches()
    first = upper - _head_height(line)
    bottoms = [first - _HEIGHT]
    for _ in names:
        below = _image_lines(line) if len(bottoms) == 1 else _map_lines(line)
        bottoms.append(bottoms[-1] - LINE * below - GAP - _HEIGHT)
    for name, bottom in zip(("image", *names), bottoms, strict=True):
        text, weight = "\n".join(break_name(name, int(side / _BOLD))), "normal" if bottom == bottoms[0] else "bold"
        figure.text(GAP / width, (bottom + _HEIGHT / 2) / height, text, fontsize=FONT, va="center", weight=weight)
    left = GAP + side + _APART / 2
    for group in line:
        center, frame = left + _width(group, wide) / 2, group.images[0].frame
        color = "black" if frame == UNKNOWN else frame.color
        how: dict[str, Any] = {"fontsize": FONT, "ha": "center", "va": "top"}
        figure.text(center / width, upper / height, group.head, weight="bold", color=color, **how)
        start = center - _images_width(group, wide) / 2
        _draw_row(figure, group.images, start, bottoms[0], wide)
        for (maps, caption), bottom in zip(group.rows, bottoms[1:], strict=True):
            _draw_row(figure, [FramedImage(image, (), UNKNOWN) for image in maps], start, bottom, wide)
            figure.text(center / width, (bottom - 0.06) / height, "\n".join(caption), **how)
        left += _width(group, wide) + _APART


def _draw_row(figure: Figure, images: Sequence[FramedImage], left: float, bottom: float, wide: float) -> None:
    for column, image in enumerate(images):
        x = left + column * (wide + _BESIDE)
        axes = draw_framed(figure, image, left=x, bottom=bottom, width=wide, height=_HEIGHT)
        if image.frame == UNKNOWN:
            for spine in axes.spines.values():
                spine.set_linewidth(1)


def _break_lines(
    groups: Sequence[SaliencyGroup], width_of: Callable[[SaliencyGroup], float]
) -> list[list[SaliencyGroup]]:
    """Split the groups into lines that are not too wide."""
    lines: list[list[SaliencyGroup]] = [[]]
    for group in groups:
        if lines[-1] and sum(width_of(each) + _APART for each in [*lines[-1], group]) > _WIDEST:
            lines.append([])
        lines[-1].append(group)
    return lines


def _width(group: SaliencyGroup, wide: float) -> float:
    """Return the width of the images of a group, or of the text about them."""
    words = max(len(text) for text in (group.head, *(line for row in group.rows for line in row.caption)))
    return max(_images_width(group, wide), words * CHARACTER)


def _images_width(group: SaliencyGroup, wide: float) -> float:
    return len(group.images) * (wide + _BESIDE) - _BESIDE


def _line_height(line: Sequence[SaliencyGroup], runs: int) -> float:
    maps = runs * (_HEIGHT + LINE * _map_lines(line) + GAP)
    return _head_height(line) + _HEIGHT + LINE * _image_lines(line) + GAP + maps + GAP / 2


def _head_height(line: Sequence[SaliencyGroup]) -> float:
    return LINE + GAP / 4 if any(group.head for group in line) else 0.0


def _map_lines(line: Sequence[SaliencyGroup]) -> int:
    return max(len(row.caption) for group in line for row in group.rows)


def _image_lines(line: Sequence[SaliencyGroup]) -> int:
    return max(len(image.caption) for group in line for image in group.images)


def _caption(sample: Sample) -> list[str]:
    return caption_lines(sample.pid, sample.camid, sample.role) or [sample.path.rsplit("/", 1)[-1]]


def _wrapped(text: str, inches: float) -> list[str]:
    return [line for part in text.splitlines() for line in textwrap.wrap(part, int(inches * _LETTERS))]
