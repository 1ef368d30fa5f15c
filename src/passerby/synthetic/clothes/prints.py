"""The patterns of cloth: each is a list of layers, painted one over the other on the garment's main color.

Nothing here draws random numbers: ``garment.detail`` offsets fixed tables, so that a garment looks the same from
every side and in every image. Lengths are meters on the cloth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.people.person import RGB, Garment, Pattern

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Layer = tuple[Floats, RGB]
"""The share of each point that the layer covers, ``(n,)`` in 0…1, and its color."""
EDGE = 0.004
"""The meters over which one color turns into another: printed edges are never sharper than the thread."""
ACCENTS: tuple[RGB, ...] = (
    (0.91, 0.9, 0.87),
    (0.13, 0.13, 0.15),
    (0.7, 0.22, 0.21),
    (0.24, 0.38, 0.6),
    (0.83, 0.66, 0.27),
    (0.3, 0.5, 0.36),
    (0.82, 0.5, 0.58),
    (0.55, 0.55, 0.56),
)
"""The third colors of prints."""
TABLE = 4096
_NOISE: Floats = np.random.default_rng(20150920).random(TABLE, dtype=np.float32) * 2 - 1
"""The noise in −1…1; a table, because a random number at every point would cost more than the image."""


@dataclass(frozen=True, eq=False)
class Cloth:
    """The points of one garment, as the patterns see them; arrays are ``(n,)``."""

    garment: Garment
    across: Floats
    """The meters around the body from the front center line; right is positive."""
    up: Floats
    """The meters above the garment's lower edge."""
    height: float
    back: Bools
    sleeve: Bools
    half: Floats | float
    """The meters from the front center line round to that of the back."""

    def constant(self, index: int) -> float:
        """Return a constant of the garment in 0…1."""
        return float(_NOISE[(self.garment.detail + 523 * index) % TABLE] + 1) / 2

    @property
    def chest(self) -> float:
        """The height of the chest above the edge: measured from the top, because a long hem moves no print."""
        return self.height - 0.35 * min(self.height, 0.56)

    @property
    def accent(self) -> RGB:
        """The third color."""
        return ACCENTS[int(self.constant(20) * len(ACCENTS))]

    @property
    def second(self) -> RGB:
        return self.garment.second


def step(x: Floats) -> Floats:
    """Return 0 below 0 and 1 above, smooth over :data:`EDGE`; ``x`` in meters."""
    t = np.clip(x * np.float32(1 / EDGE) + np.float32(0.5), 0, 1)
    smooth: Floats = t * t * (3 - 2 * t)
    return smooth


def band(x: Floats, center: float, width: float) -> Floats:
    """Return 1 within a band of ``width`` meters, 0 elsewhere."""
    return step(np.float32(width / 2) - np.abs(x - np.float32(center)))


def bands(x: Floats, period: float, share: float, phase: float) -> Floats:
    """Return 1 on a share of each period, 0 on the rest."""
    place = x * np.float32(1 / period) + np.float32(phase)
    place = np.abs(place - np.floor(place) - np.float32(0.5))
    return step((np.float32(share / 2) - place) * np.float32(period))


def cells(column: Floats, row: Floats, offset: int) -> Floats:
    """Return one value in −1…1 for each pair of whole numbers."""
    at = (column * np.float32(61) + row * np.float32(997)).astype(np.intp)
    at += offset
    at &= TABLE - 1
    values: Floats = _NOISE[at]
    return values


def grain(cloth: Cloth, pitch: float) -> Floats:
    """Return one value in −1…1 for each square of ``pitch`` meters."""
    column, row = (np.floor(place * np.float32(1 / pitch)) for place in (cloth.across, cloth.up))
    return cells(column, row, cloth.garment.detail % TABLE)


def blotches(cloth: Cloth, size: float, salt: int) -> Floats:
    """Return smooth noise, about −1…1, with features of ``size`` meters."""
    x = cloth.across * np.float32(1 / size) + np.float32(1000)
    y = cloth.up * np.float32(1 / size) + np.float32(1000)
    column, row = x.astype(np.intp), y.astype(np.intp)
    u, v = x - column.astype(np.float32), y - row.astype(np.float32)
    at = column * 37 + row * 101 + (cloth.garment.detail % TABLE + salt)
    low, high = (_between(at + corner, u * u * (3 - 2 * u)) for corner in (0, 101))
    smooth: Floats = low + (high - low) * (v * v * (3 - 2 * v))
    return smooth


def _between(at: NDArray[np.intp], u: Floats) -> Floats:
    left = _NOISE[at & (TABLE - 1)]
    right = _NOISE[(at + 37) & (TABLE - 1)]
    mixed: Floats = left + (right - left) * u
    return mixed


def _stripes(cloth: Cloth) -> Iterator[Layer]:
    """Paint even stripes, thin or broad; with a second set in a third color, or on the chest alone."""
    scale, kind = cloth.garment.scale, cloth.constant(2)
    share = bands(cloth.up, scale, 0.2 + 0.25 * cloth.constant(1), cloth.constant(0))
    if kind < 0.2:
        share = share * step(np.abs(cloth.up - np.float32(cloth.chest)) * -1 + np.float32(0.09))
    yield share, cloth.second
    if kind > 0.75:
        yield bands(cloth.up, 2 * scale, 0.1, cloth.constant(0) / 2), cloth.accent


def _columns(cloth: Cloth) -> Iterator[Layer]:
    yield bands(cloth.across, cloth.garment.scale, 0.15 + 0.3 * cloth.constant(1), cloth.constant(0)), cloth.second


def _plaid(cloth: Cloth) -> Iterator[Layer]:
    """Paint broad bands both ways at half strength, and thin lines between them."""
    period, phase, tilt = cloth.garment.scale * 1.3, cloth.constant(0), cloth.constant(1)
    broad = bands(cloth.up, period, 0.42, phase) + bands(cloth.across, period, 0.42, tilt)
    yield np.float32(0.42) * broad, cloth.second
    thin = np.maximum(bands(cloth.up, period, 0.1, phase + 0.5), bands(cloth.across, period, 0.1, tilt + 0.5))
    yield np.float32(0.8) * thin, cloth.accent if cloth.constant(2) < 0.4 else cloth.second


def _gradient(cloth: Cloth) -> Iterator[Layer]:
    low, high = 0.1 + 0.2 * cloth.constant(0), 0.6 + 0.3 * cloth.constant(1)
    t = np.clip((cloth.up * np.float32(1 / cloth.height) - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    yield np.float32(0.85) * (1 - t if cloth.constant(2) < 0.6 else t), cloth.second


def _block(cloth: Cloth) -> Iterator[Layer]:
    """Paint a second tone: yoke, lower half, chest band, sides, left and right, or sleeves."""
    body = ~cloth.sleeve
    edge = np.float32((0.45 + 0.25 * cloth.constant(0)) * cloth.height)
    aside = np.abs(cloth.across)
    kinds: tuple[Callable[[], Floats], ...] = (
        lambda: step(cloth.up - edge) * body,
        lambda: step(edge - cloth.up) * body,
        lambda: band(cloth.up, float(edge), 0.07 + 0.09 * cloth.constant(2)) * body,
        lambda: np.maximum(band(aside, float(np.mean(cloth.half)) / 2, 0.12), cloth.sleeve),
        lambda: step(cloth.across) * body,
        lambda: np.maximum(step(cloth.up - np.float32(cloth.height - 0.13)), cloth.sleeve),
    )
    yield kinds[int(cloth.constant(1) * len(kinds))](), cloth.second


def _sides(cloth: Cloth) -> Iterator[Layer]:
    """Paint one to three lines down the seams of legs, or a band at the hem."""
    aside: Floats = np.abs(cloth.across) - np.asarray(cloth.half, np.float32) / np.float32(2)
    if cloth.constant(0) < 0.7:
        yield band(aside, 0.0, 0.03 + 0.03 * cloth.constant(1)), cloth.second
    else:
        yield band(cloth.up, 0.05, 0.05), cloth.second


def _dots(cloth: Cloth) -> Iterator[Layer]:
    """Paint staggered rows of dots; on some garments blossoms: of uneven size, and now and then in a third color."""
    pitch = np.float32(max(cloth.garment.scale, 0.04))
    y = cloth.up / pitch
    row = np.floor(y)
    x = cloth.across / pitch + row * np.float32(0.5)
    column = np.floor(x)
    distance = np.sqrt((x - column - np.float32(0.5)) ** 2 + (y - row - np.float32(0.5)) ** 2)
    uneven = cells(column, row, cloth.garment.detail % TABLE)
    wild = np.float32(0.12 * (cloth.constant(1) > 0.5))
    share = step((np.float32(0.2 + 0.1 * cloth.constant(0)) + wild * uneven - distance) * pitch)
    yield share, cloth.second
    if wild:
        yield share * (uneven > 0.3), cloth.accent


def _camouflage(cloth: Cloth) -> Iterator[Layer]:
    """Paint patches of the second color, and of light and dark shades of the first."""
    red, green, blue = cloth.garment.color
    yield _patch(blotches(cloth, 0.09, 5)), (red * 0.6, green * 0.6, blue * 0.6)
    yield np.float32(0.45) * _patch(blotches(cloth, 0.06, 900)), cloth.second


def _patch(noise: Floats) -> Floats:
    share: Floats = np.clip((noise - np.float32(0.12)) * 12, 0, 1)
    return share


def _raglan(cloth: Cloth) -> Iterator[Layer]:
    """Paint sleeves of the second color, which reach the neck along a slanted seam."""
    below = np.float32(cloth.height) - cloth.up
    center = np.where(cloth.back, np.asarray(cloth.half, np.float32) - np.abs(cloth.across), np.abs(cloth.across))
    slant = step(center - np.float32(0.07) - np.float32(0.5) * below) * (below < 0.22)
    yield np.maximum(slant, cloth.sleeve), cloth.second


def layers(cloth: Cloth) -> Iterator[Layer]:
    """Yield the layers of the garment's pattern."""
    if cloth.garment.pattern != "plain":
        legs = cloth.garment.pattern == "block" and cloth.garment.kind in ("trousers", "jeans", "leggings", "shorts")
        yield from (_sides if legs else PATTERNS[cloth.garment.pattern])(cloth)


PATTERNS: dict[Pattern, Callable[[Cloth], Iterator[Layer]]] = {
    "stripes": _stripes,
    "columns": _columns,
    "plaid": _plaid,
    "gradient": _gradient,
    "block": _block,
    "dots": _dots,
    "camouflage": _camouflage,
    "raglan": _raglan,
}
