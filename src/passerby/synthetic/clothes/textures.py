"""The colors of cloth at points of a garment: its pattern, its seams and trim, and the grain of the weave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from passerby.synthetic.clothes.logos import paint_logo
from passerby.synthetic.clothes.palette import shade
from passerby.synthetic.clothes.prints import (
    Bools,
    Cloth,
    Floats,
    Layer,
    band,
    bands,
    blotches,
    grain,
    layers,
    step,
)
from passerby.synthetic.people.person import RGB, Garment

HALF = 0.46
"""The meters from the front center line round to that of the back, of a usual torso."""
ROUGH = {"jeans": 0.07, "sweater": 0.06, "hoodie": 0.04, "coat": 0.04, "leggings": 0.015}
"""The difference of threads in brightness; 0.025 elsewhere."""


def cloth_color(
    garment: Garment,
    across: Floats,
    up: Floats,
    height: float,
    back: Bools,
    sleeve: Bools,
    half: Floats | float = HALF,
) -> Floats:
    """Return the sRGB colors, ``(n, 3)``, of points on a garment, before light and folds.

    Args:
        garment: what is worn; its ``detail`` decides every phase and shape.
        across: ``(n,)`` meters around the body (the leg, the arm) from the front center line, right positive.
        up: ``(n,)`` meters above the garment's lower edge; on a sleeve, above the cuff.
        height: meters of the whole garment.
        back: ``(n,)`` whether the point is on the back.
        sleeve: ``(n,)`` whether the point is on a sleeve.
        half: meters (one, or ``(n,)``) from the front center line round to that of the back.
    """
    cloth = Cloth(garment, across, up, height, back, sleeve, half)
    color = np.empty((3, len(up)), np.float32)
    color[:] = np.array(garment.color, np.float32)[:, None]
    pattern = paint_logo(cloth) if garment.pattern == "logo" else layers(cloth)
    for share, over in chain(pattern, _seams(cloth)):
        for channel, value in zip(color, over, strict=True):
            channel += share * (np.float32(value) - channel)
    color *= _weave(cloth)
    np.clip(color, 0, 1, out=color)
    points: Floats = color.T
    return points


def _seams(cloth: Cloth) -> Iterator[Layer]:
    """Paint what tells a shirt from a T-shirt: collars, cuffs, plackets, zips, pockets."""
    garment = cloth.garment
    line = garment.trim or shade(garment.color, 0.72)
    front = ~(cloth.back | cloth.sleeve)
    if garment.kind in ("jeans", "trousers", "shorts"):
        yield from _pockets(cloth, shade(garment.color, 0.75))
    if garment.kind in ("hoodie", "jacket", "coat"):
        yield band(cloth.across, 0.0, 0.014) * front, line
        yield np.float32(0.6) * _pouch(cloth) * front, shade(garment.color, 0.72)
    if garment.kind == "shirt":
        yield np.float32(0.5) * band(cloth.across, 0.012, 0.006) * front, shade(garment.color, 0.7)
        yield band(cloth.across, 0.0, 0.012) * bands(cloth.up, 0.085, 0.14, 0.3) * front, line
    if garment.kind == "polo":
        yield band(cloth.across, 0.0, 0.02) * step(cloth.up - np.float32(cloth.height - 0.17)) * front, line
    if garment.trim is not None or garment.kind in ("sweater", "hoodie"):
        yield np.float32(1.0 if garment.trim else 0.35) * _edges(cloth), line


def _edges(cloth: Cloth) -> Floats:
    """Return where collar and cuffs are; the hem as well where it is knitted."""
    cuff = step(np.float32(0.02) - cloth.up) * cloth.sleeve
    collar = step(cloth.up - np.float32(cloth.height - 0.025)) * ~cloth.sleeve
    knitted = cloth.garment.kind in ("sweater", "hoodie", "jacket", "skirt", "shorts")
    hem = step(np.float32(0.035) - cloth.up) * ~cloth.sleeve * knitted
    return np.maximum(np.maximum(cuff, collar), hem)


def _pouch(cloth: Cloth) -> Floats:
    """Return the edge of the pockets on the belly: a slanted line on either side."""
    slant = np.abs(cloth.across) - np.float32(0.15) + np.float32(0.45) * (cloth.up - np.float32(0.12))
    return band(slant, 0.0, 0.01) * band(cloth.up, 0.16, 0.15)


def _pockets(cloth: Cloth, dark: RGB) -> Iterator[Layer]:
    """Paint patch pockets on the seat."""
    down = np.float32(cloth.height) - cloth.up
    patch = band(down, 0.15, 0.13) * cloth.back
    yield np.float32(0.2) * patch * cloth.constant(6), dark
    yield np.float32(0.4) * band(down, 0.09, 0.01) * cloth.back, dark


def _weave(cloth: Cloth) -> Floats:
    """Return a factor near 1: threads, wear, ribs of knits, and the fade of denim along the thigh."""
    kind = cloth.garment.kind
    factor: Floats = 1 + np.float32(ROUGH.get(kind, 0.025)) * grain(cloth, 0.006)
    factor += np.float32(0.03) * blotches(cloth, 0.11, 2000)
    if kind == "sweater":
        factor += np.float32(0.05) * bands(cloth.across, 0.016, 0.4, 0.0) - np.float32(0.02)
    if kind == "jeans":
        fade = np.clip(1 - np.abs(cloth.across) * np.float32(1 / 0.09), 0, 1) * (cloth.up > 0.3 * cloth.height)
        factor += np.float32(0.3 * cloth.constant(7)) * fade
    return factor
