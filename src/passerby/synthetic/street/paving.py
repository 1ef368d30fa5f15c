"""The textures of the ground, one tile of a few meters each: slabs, bricks, asphalt, concrete, grass."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import stream
from passerby.synthetic.street.surfaces import Texture, linear, noise, texture

GroundKind = Literal["slabs", "squares", "bricks", "asphalt", "concrete", "grass", "cobbles"]
_SIDE = 512
_TONES = {
    "slabs": ((0.57, 0.56, 0.55), (0.52, 0.51, 0.49), (0.60, 0.585, 0.56), (0.53, 0.53, 0.53)),
    "squares": ((0.56, 0.55, 0.54), (0.57, 0.54, 0.51), (0.51, 0.51, 0.51), (0.54, 0.515, 0.49)),
    "bricks": ((0.52, 0.49, 0.47), (0.53, 0.52, 0.505), (0.50, 0.46, 0.44), (0.49, 0.49, 0.49)),
    "asphalt": ((0.47, 0.47, 0.47), (0.42, 0.42, 0.425), (0.51, 0.505, 0.50), (0.45, 0.445, 0.44)),
    "concrete": ((0.58, 0.575, 0.56), (0.54, 0.535, 0.53), (0.60, 0.59, 0.56), (0.52, 0.52, 0.515)),
    "grass": ((0.33, 0.37, 0.22), (0.38, 0.38, 0.26), (0.29, 0.34, 0.21), (0.36, 0.41, 0.26)),
    "cobbles": ((0.51, 0.505, 0.49), (0.48, 0.475, 0.475), (0.52, 0.50, 0.475), (0.49, 0.49, 0.495)),
}
_BLOCKS = {"slabs": (32, 64), "squares": (64, 64), "bricks": (16, 32), "concrete": (256, 256), "cobbles": (16, 16)}


def _bond(rng: np.random.Generator, block: tuple[int, int], shift: int, joint: float) -> tuple[Floats, Floats]:
    """Lay a running bond: for each texel its block's random number and how deep it lies in the mortar (0…1)."""
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE]
    course = rows // block[0]
    along = (columns + course * shift) % _SIDE
    tint = rng.standard_normal((_SIDE // block[0], _SIDE // block[1]))[course, along // block[1]]
    edge = np.minimum(
        np.minimum(rows % block[0], block[0] - 1 - rows % block[0]),
        np.minimum(along % block[1], block[1] - 1 - along % block[1]),
    )
    return tint.astype(np.float32), np.clip(joint - edge, 0.0, 1.0).astype(np.float32)


def _laid(kind: GroundKind, variant: int, gray: Floats) -> Floats:
    """Lay blocks with mortar between them: it multiplies the brightness."""
    rng = stream(variant, "paving", *kind.encode())
    block = _BLOCKS[kind]
    half = int(rng.random() < 0.6) * block[1] // 2
    tint, joint = _bond(rng, block, 0 if kind == "concrete" else half, rng.uniform(0.9, 2.2))
    uneven = rng.uniform(0.02, 0.085) * (0.4 if kind == "concrete" else 1.0)
    mortar = rng.uniform(0.22, 0.45) if rng.random() < 0.85 else -0.2
    mortar *= 0.65 if block[0] < 32 else 1.0
    return np.asarray((gray + uneven * tint) * (1 - mortar * joint), np.float32)


@lru_cache(maxsize=48)
def ground(kind: GroundKind, variant: int) -> Texture:
    """Generate a tile of ground; a dozen variants of each kind suffice, as light and camera change them further."""
    rng = stream(variant, "ground", *kind.encode())
    tone = np.array(_TONES[kind][variant % 4]) * rng.uniform(0.93, 1.07) + rng.normal(0, 0.006, 3)
    grain = 0.055 * noise(variant % 5, slope=0.15) + 0.035 * noise(variant % 5 + 5, slope=0.9, longest=0.3)
    gray = np.float32(1.0) + (grain if kind != "grass" else 2.4 * grain + 0.1 * noise(3, slope=0.6))
    if kind in _BLOCKS:
        gray = _laid(kind, variant, gray)
    if kind == "asphalt":
        gray = gray - 0.25 * (noise(variant % 5 + 9, slope=1.2, longest=0.4) > 2.0)
    image = tone[None, None] * gray[..., None]
    if kind == "grass":
        image += np.array([0.03, 0.012, -0.005]) * noise(7, slope=0.9, longest=0.5)[..., None]
    scale = _SIDE / rng.uniform(3.2, 4.8)
    return texture(linear(np.clip(image, 0.02, 1.0)), scale)


@lru_cache(maxsize=8)
def stains(variant: int) -> Texture:
    """Generate dirt and wear in a 20 m tile that multiplies any ground; the second channel says where puddles lie."""
    slow, patchy = noise(variant + 20, (256, 256), 1.4), noise(variant + 40, (256, 256), 0.9)
    dirt = 1.0 + 0.075 * slow + 0.05 * patchy
    spots = np.clip(noise(variant + 60, (256, 256), 0.7) - 2.0, 0, 1)
    puddle = np.clip(0.45 + 0.5 * slow, 0, 1)
    image = np.stack([dirt - 0.25 * spots, puddle, puddle], axis=2)
    return texture(np.asarray(image, np.float32), 256 / 20.0)
