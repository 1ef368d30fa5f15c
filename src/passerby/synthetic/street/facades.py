"""The textures of walls: brick, tiles and plaster, with windows, doors and shutters in bays of 3.2 meters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import stream
from passerby.synthetic.street.surfaces import Texture, linear, noise, texture

SCALE = 80.0
"""The texels to a meter; a story is 256 texels high, a bay as wide, and four bays repeat."""
_TONES = (
    (0.60, 0.58, 0.54),
    (0.52, 0.45, 0.41),
    (0.56, 0.55, 0.54),
    (0.66, 0.65, 0.63),
    (0.45, 0.445, 0.44),
    (0.58, 0.53, 0.47),
    (0.54, 0.44, 0.42),
    (0.40, 0.40, 0.41),
)


def _masonry(rng: np.random.Generator, variant: int) -> Floats:
    """Generate the brightness ``(256, 1024)`` of the bare wall."""
    rows, columns = np.mgrid[0:256, 0:1024]
    gray = 1.0 + 0.03 * noise(variant % 5 + 200, (256, 1024), 0.3) + 0.06 * noise(variant % 5 + 210, (256, 1024), 1.3)
    style = variant % 3
    if style == 2:
        return np.asarray(gray, np.float32)
    block = ((8, 16), (16, 32), (32, 64))[int(rng.integers(3))]
    along = (columns + (rows // block[0] % 2) * block[1] // 2) % 1024
    tint = rng.standard_normal((256 // block[0], 1024 // block[1]))[rows // block[0], along // block[1]]
    joint = (rows % block[0] == 0) | (along % block[1] == 0)
    return np.asarray((gray + 0.045 * tint) * np.where(joint, rng.uniform(0.7, 1.15), 1.0), np.float32)


def _opening(rng: np.random.Generator, bay: Floats, kind: str) -> None:
    """Draw into a bay ``(256, 256, 3)`` of sRGB, row 0 on top."""
    left, right = 40 + int(rng.integers(40)), 256 - 40 - int(rng.integers(40))
    top, bottom = 40 + int(rng.integers(30)), {"window": 170, "door": 256, "shutter": 250, "shop": 226}[kind]
    if kind in ("shop", "shutter"):
        left, right = 14, 242
    frame = rng.uniform(0.25, 0.8)
    bay[top - 6 : bottom + 5, left - 6 : right + 6] = frame * np.array([1.0, 0.99, 0.97])
    pane = bay[top:bottom, left:right]
    if kind == "shutter":
        ribs = 0.52 + 0.08 * np.sin(np.arange(bottom - top) * 0.8)
        pane[:] = ribs[:, None, None] * (np.array([1.0, 1.0, 1.02]) + rng.normal(0, 0.02, 3))
        return
    ramp = np.linspace(rng.uniform(0.24, 0.46), 0.12, bottom - top)[:, None, None]
    pane[:] = ramp * np.array([0.93, 1.0, 1.04])
    inside = noise(int(rng.integers(5)) + 220, (256, 256), 1.2)[: bottom - top, : right - left, None]
    pane += 0.05 * inside
    for at in np.linspace(0, right - left, int(rng.integers(2, 5)) + 1)[1:-1].astype(int):
        pane[:, at - 3 : at + 3] = frame
    if kind == "door":
        pane[:, -(right - left) // 2 :] *= 0.8
        pane[bottom - top - 70 :] = np.array([0.24, 0.2, 0.18]) * rng.uniform(0.7, 1.5)


@lru_cache(maxsize=24)
def facade(variant: int) -> Texture:
    """Generate one story of 3.2 m, 12.8 m long, that repeats in both directions."""
    rng = stream(variant, "facade")
    tone = np.array(_TONES[variant % len(_TONES)]) * rng.uniform(0.85, 1.1) + rng.normal(0, 0.012, 3)
    image = (tone * _masonry(rng, variant)[..., None]).astype(np.float32)
    kinds = ("window", "window", "door", "shop", "shutter", "blank", "blank")
    main = kinds[int(rng.integers(len(kinds)))]
    for bay in range(4):
        kind = main if rng.random() < 0.6 else kinds[int(rng.integers(len(kinds)))]
        if kind != "blank":
            _opening(rng, image[:, bay * 256 : bay * 256 + 256], kind)
    base = int(rng.integers(20, 70))
    if rng.random() < 0.6:
        image[-base:] *= rng.uniform(0.6, 0.85)
    image *= (1 - 0.25 * np.linspace(0, 1, 256) ** 6)[:, None, None].astype(np.float32)
    return texture(linear(np.clip(image, 0.02, 1.0)), SCALE)


@lru_cache(maxsize=8)
def wall(variant: int) -> Texture:
    """Generate the same masonry without openings."""
    rng = stream(variant, "wall")
    tone = np.array(_TONES[(variant * 3 + 1) % len(_TONES)])
    image = tone * _masonry(rng, variant)[..., None]
    return texture(linear(np.clip(image, 0.02, 1.0)), SCALE)


@lru_cache(maxsize=8)
def sign(variant: int) -> Texture:
    """Generate a notice board with lines of something like writing, muted, on a tile of 1.6 × 1.6 m."""
    rng = stream(variant, "sign")
    paper = np.array([(0.75, 0.75, 0.72), (0.25, 0.33, 0.48), (0.55, 0.22, 0.2), (0.3, 0.42, 0.34)][variant % 4])
    image = np.ones((128, 128, 3)) * paper
    ink = 0.2 if paper.mean() > 0.5 else 0.85
    for row in range(8, 120, 9 if variant % 2 else 14):
        runs = rng.random(64) < 0.55
        runs[:4], runs[60 - int(rng.integers(30)) :] = False, False
        image[row : row + 5] = np.where(np.repeat(runs, 2)[None, :, None], ink, image[row : row + 5])
    return texture(linear(np.clip(image, 0.02, 1.0)), SCALE)
