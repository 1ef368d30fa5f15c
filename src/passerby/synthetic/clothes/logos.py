"""The prints on the chest, and on some backs: shapes, lines of text-like blots, and photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from passerby.synthetic.clothes.prints import TABLE, Cloth, Floats, Layer, band, blotches, cells, grain, step


def paint_logo(cloth: Cloth) -> Iterator[Layer]:
    """Paint the print on the front, and on the back of one garment in four; points out of its reach stay unpainted."""
    width, height = 0.16 + 0.13 * cloth.constant(0), 0.1 + 0.18 * cloth.constant(1)
    center = np.float32(cloth.chest)
    behind = cloth.constant(2) < 0.25
    round_back = np.sign(cloth.across) * np.asarray(cloth.half, np.float32) - cloth.across
    x = np.where(cloth.back, round_back, cloth.across)
    y = cloth.up - center
    side = ~cloth.sleeve if behind else ~(cloth.sleeve | cloth.back)
    near = np.flatnonzero(side & (np.abs(x) < width) & (np.abs(y) < height))
    on = replace(cloth, across=x[near], up=y[near], back=cloth.back[near], sleeve=cloth.sleeve[near])
    motif = MOTIFS[int(cloth.constant(3) * len(MOTIFS))]
    for share, color in motif(on, width, height):
        whole = np.zeros(len(cloth.up), np.float32)
        whole[near] = share
        yield whole, color


def _box(cloth: Cloth, width: float, height: float) -> Floats:
    return band(cloth.across, 0.0, width) * band(cloth.up, 0.0, height)


def _text(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print one to four lines of letters, each a grid of 3 × 5 strokes that are there or not."""
    lines = 1 + int(cloth.constant(5) ** 2 * 4)
    tall = np.float32(min(height * 0.8 / lines, 0.075) / 6.5)
    wide = tall * np.float32(1.3)
    x, y = cloth.across / wide + np.float32(100), cloth.up / tall + np.float32(0.5 * 6.5 * lines)
    line = np.floor(y / np.float32(6.5))
    stroke_row, column = np.floor(y - line * np.float32(6.5)), np.floor(x)
    letter = np.floor(column / 4)
    upright = column - letter * 4 == 0
    salt = cloth.garment.detail % TABLE
    stroke = (cells(column, line * 7 + stroke_row, salt) > -0.1) | (upright & (cells(letter, line, salt) > -0.6))
    ink = stroke & (column - letter * 4 < 3) & (stroke_row < 5) & (line >= 0) & (line < lines)
    ragged = np.float32(width / 2) * (np.float32(0.8) + np.float32(0.2) * cells(line, line, salt))
    yield ink * (np.abs(cloth.across) < ragged), cloth.second


def _disc(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print a disc or ring with something in it."""
    radius = np.sqrt(cloth.across**2 + cloth.up**2)
    size = np.float32(min(width, 2 * height) / 2.1)
    yield step(size - radius), cloth.second
    if cloth.constant(5) < 0.5:
        yield step(size * np.float32(0.6) - radius), cloth.garment.color
    else:
        inner = step(size * np.float32(0.7) - radius) * (blotches(cloth, 0.05, 6) > 0.1)
        yield inner, cloth.accent


def _photo(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print a box with patches of two colors, like a photo printed on cotton."""
    box = _box(cloth, width, height)
    yield box, cloth.second
    yield box * np.clip(blotches(cloth, 0.06, 7) * 6, 0, 1), cloth.accent
    yield box * np.clip(blotches(cloth, 0.035, 70) * 6 - 1, 0, 1), cloth.garment.color


def _sign(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print text in a box, with the colors exchanged."""
    yield _box(cloth, width, height * 0.7), cloth.second
    for share, _ in _text(cloth, width * 0.85, height * 0.6):
        yield share, cloth.garment.color


def _triangle(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print a triangle on its tip or on its base, with a line of text below."""
    way = np.float32(1 if cloth.constant(5) < 0.5 else -1)
    slope = np.float32(width / 2 / height)
    inside = step((np.float32(height / 2) + way * cloth.up) * slope - np.abs(cloth.across))
    yield inside * band(cloth.up, 0.0, height), cloth.second
    yield (
        band(cloth.up, -height * 0.7, 0.025) * band(cloth.across, 0.0, width) * (grain(cloth, 0.02) > -0.3),
        (cloth.accent),
    )


def _diamond(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    distance = np.abs(cloth.across) / np.float32(width) + np.abs(cloth.up) / np.float32(height)
    yield step((np.float32(0.5) - distance) * np.float32(width)), cloth.second
    yield step((np.float32(0.25) - distance) * np.float32(width)), cloth.accent


def _face(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print an animal's head: two ears, two eyes."""
    size = np.float32(min(width, height) / 2)
    x, y = np.abs(cloth.across) / size, cloth.up / size
    head = np.sqrt(x**2 + y**2) - np.float32(0.75)
    ears = np.sqrt((x - np.float32(0.6)) ** 2 + (y - np.float32(0.7)) ** 2) - np.float32(0.3)
    yield step(-np.minimum(head, ears) * size), cloth.second
    eyes = np.sqrt((x - np.float32(0.3)) ** 2 + (y - np.float32(0.1)) ** 2) - np.float32(0.14)
    yield step(-eyes * size), cloth.garment.color


def _bars(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print three bars, of falling width or slanted."""
    slanted = cloth.up * np.float32(0.5 if cloth.constant(5) < 0.5 else 0.0)
    for place, color in zip((-0.3, 0.0, 0.3), (cloth.second, cloth.accent, cloth.second), strict=True):
        yield band(cloth.up, place * height, 0.2 * height) * band(cloth.across - slanted, 0.0, width), color


def _badge(cloth: Cloth, width: float, height: float) -> Iterator[Layer]:
    """Print a small badge over the heart, on the left side."""
    x, y = cloth.across + np.float32(0.075), cloth.up - np.float32(0.03)
    size = np.float32(0.1 * min(width, 2 * height))
    yield step(size - np.sqrt(x**2 + y**2)), cloth.second


MOTIFS: tuple[Callable[[Cloth, float, float], Iterator[Layer]], ...] = (
    _text,
    _text,
    _disc,
    _photo,
    _photo,
    _sign,
    _triangle,
    _diamond,
    _face,
    _bars,
    _badge,
)
