"""Saliency as a picture: a row of pictures, below it a row of maps for each run, the baseline above ours.

Fig 5 of AaP-ReID shows pictures, a baseline's maps and its own. What is explained is an identity's score or the
distance of two pictures, of which both are shown (:mod:`passerby.explain.saliency.maps`). All lengths are inches.
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
    heatmap_cell,
)
from passerby.figures.style import FONT, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Sample

_HEIGHT = 1.55
_SIDE = 1.15, 1.8  # of the runs' names, the least and the most
_BOLD = 0.076  # the widest that a bold letter is
_APART = 0.3  # between groups
_BESIDE = 0.06  # within one
_WIDEST = 8.6  # of the groups in a line
_LEAST = 5.5
_LETTERS = 13.5  # of an inch
_FRAMES: dict[bool | None, Frame] = {True: RIGHT, False: WRONG, None: UNKNOWN}
_SAME = {True: "the same person", False: "another person", None: "the nearest"}


class MapRow(NamedTuple):
    """One run's maps over the pictures of a group, and what is said below them."""

    maps: tuple[Image.Image, ...]
    said: tuple[str, ...]
    """Line by line."""


@dataclass(frozen=True, eq=False)
class SaliencyGroup:
    """A picture, or two that are compared, with each run's maps."""

    head: str
    images: tuple[FramedImage, ...]
    rows: tuple[MapRow, ...]


def identity_groups(
    album: ImageSet,
    seen: Sequence[ModelView],
    maps: Sequence[Float[Tensor, "b h w"]],
    said: Sequence[Sequence[tuple[str, ...]]],
) -> list[SaliencyGroup]:
    """A group a picture.

    Args:
        seen: the same pictures as each run's model was shown them.
        maps: of each run.
        said: below each picture's map, of each run.
    """
    groups = []
    for row, sample in enumerate(seen[0].samples):
        image = album.image(sample.path)
        rows = tuple(
            MapRow((heatmap_cell(image, found[row]),), words[row]) for found, words in zip(maps, said, strict=True)
        )
        groups.append(SaliencyGroup("", (FramedImage(image, _named(sample), UNKNOWN),), rows))
    return groups


def distance_groups(album: ImageSet, pairs: Sequence[ImagePair], found: Sequence[PairSaliency]) -> list[SaliencyGroup]:
    """A group a pair; ``found`` of each run."""
    groups = []
    for row, pair in enumerate(pairs):
        images = [album.image(sample.path) for sample in (pair.query, pair.other)]
        frame = _FRAMES[pair.same]
        named = zip(images, (pair.query, pair.other), strict=True)
        rows = tuple(
            MapRow(
                (heatmap_cell(images[0], one.a[row]), heatmap_cell(images[1], one.b[row])),
                (f"d = {format_number(one.distances[row].item())}",),
            )
            for one in found
        )
        head = f"{frame.symbol} {_SAME[pair.same]}".strip()
        groups.append(
            SaliencyGroup(head, tuple(FramedImage(image, _named(some), frame) for image, some in named), rows)
        )
    return groups


def saliency_figure(groups: Sequence[SaliencyGroup], names: Sequence[str], *, title: str, foot: str = "") -> Figure:
    """The groups side by side, as many lines as they need; in each line the pictures, then every run's maps.

    Args:
        names: of the runs, in the order of each group's rows.
        title: says what is explained, on which data.

    Raises:
        ConfigError: if there is nothing to draw, or a group lacks a run.
    """
    if not groups or any(len(group.rows) != len(names) for group in groups):
        raise ConfigError(f"each picture needs a map of each of {', '.join(names) or 'some runs'}; give both")
    wide = cell_width([each for group in groups for each in group.images], _HEIGHT)
    lines = _broken(groups, lambda group: _width(group, wide))
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
    """What holds the longest name, or the longest word of one that has no room in a line."""
    least, most = _SIDE
    lines = [line for name in names for line in break_name(name, int(most / _BOLD))]
    return max([least, *(len(line) * _BOLD + GAP / 2 for line in lines)])


def _draw_line(
    figure: Figure, line: Sequence[SaliencyGroup], names: Sequence[str], *, upper: float, wide: float, side: float
) -> None:
    width, height = figure.get_size_inches()
    first = upper - _head(line)
    bottoms = [first - _HEIGHT]
    for _ in names:
        below = _captions(line) if len(bottoms) == 1 else _said(line)
        bottoms.append(bottoms[-1] - LINE * below - GAP - _HEIGHT)
    for name, bottom in zip(("picture", *names), bottoms, strict=True):
        words, weight = "\n".join(break_name(name, int(side / _BOLD))), "normal" if bottom == bottoms[0] else "bold"
        figure.text(GAP / width, (bottom + _HEIGHT / 2) / height, words, fontsize=FONT, va="center", weight=weight)
    left = GAP + side + _APART / 2
    for group in line:
        center, frame = left + _width(group, wide) / 2, group.images[0].frame
        color = "black" if frame == UNKNOWN else frame.color
        how: dict[str, Any] = {"fontsize": FONT, "ha": "center", "va": "top"}
        figure.text(center / width, upper / height, group.head, weight="bold", color=color, **how)
        start = center - _pictures(group, wide) / 2
        _draw_row(figure, group.images, start, bottoms[0], wide)
        for (maps, said), bottom in zip(group.rows, bottoms[1:], strict=True):
            _draw_row(figure, [FramedImage(image, (), UNKNOWN) for image in maps], start, bottom, wide)
            figure.text(center / width, (bottom - 0.06) / height, "\n".join(said), **how)
        left += _width(group, wide) + _APART


def _draw_row(figure: Figure, pictures: Sequence[FramedImage], left: float, bottom: float, wide: float) -> None:
    for column, picture in enumerate(pictures):
        x = left + column * (wide + _BESIDE)
        axes = draw_framed(figure, picture, left=x, bottom=bottom, width=wide, height=_HEIGHT)
        if picture.frame == UNKNOWN:
            for spine in axes.spines.values():
                spine.set_linewidth(1)


def _broken(groups: Sequence[SaliencyGroup], width_of: Callable[[SaliencyGroup], float]) -> list[list[SaliencyGroup]]:
    """Into lines that are not too wide."""
    lines: list[list[SaliencyGroup]] = [[]]
    for group in groups:
        if lines[-1] and sum(width_of(each) + _APART for each in [*lines[-1], group]) > _WIDEST:
            lines.append([])
        lines[-1].append(group)
    return lines


def _width(group: SaliencyGroup, wide: float) -> float:
    """What holds its pictures, and what is said of them."""
    words = max(len(text) for text in (group.head, *(line for row in group.rows for line in row.said)))
    return max(_pictures(group, wide), words * CHARACTER)


def _pictures(group: SaliencyGroup, wide: float) -> float:
    return len(group.images) * (wide + _BESIDE) - _BESIDE


def _line_height(line: Sequence[SaliencyGroup], runs: int) -> float:
    maps = runs * (_HEIGHT + LINE * _said(line) + GAP)
    return _head(line) + _HEIGHT + LINE * _captions(line) + GAP + maps + GAP / 2


def _head(line: Sequence[SaliencyGroup]) -> float:
    return LINE + GAP / 4 if any(group.head for group in line) else 0.0


def _said(line: Sequence[SaliencyGroup]) -> int:
    return max(len(row.said) for group in line for row in group.rows)


def _captions(line: Sequence[SaliencyGroup]) -> int:
    return max(len(picture.caption) for group in line for picture in group.images)


def _named(sample: Sample) -> list[str]:
    return caption_lines(sample.pid, sample.camid, sample.role) or [sample.path.rsplit("/", 1)[-1]]


def _wrapped(text: str, inches: float) -> list[str]:
    return [line for part in text.splitlines() for line in textwrap.wrap(part, int(inches * _LETTERS))]
