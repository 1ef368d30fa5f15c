"""Textures that are looked up, never evaluated: noise, and pictures with all their smaller copies (mip maps).

A street fills every picture to its edges, so its surfaces must cost one table lookup a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import stream


def linear(srgb: ArrayLike) -> Floats:
    """From sRGB in 0…1 to linear light."""
    values = np.asarray(srgb, np.float32)
    return np.asarray(values**2.2, np.float32)


@lru_cache(maxsize=64)
def noise(seed: int, size: tuple[int, int] = (512, 512), slope: float = 1.0, longest: float = 1.0) -> Floats:
    """Periodic noise of mean 0 and variance 1 whose amplitude falls with frequency^``slope``; 0 is white.

    Waves longer than ``longest`` times the tile are left out, so that a repeated tile does not show.
    """
    white = stream(seed, "noise", *size).standard_normal(size)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None] * size[0], np.fft.rfftfreq(size[1])[None] * size[1])
    weight = np.where(frequency >= 1.0 / longest, np.maximum(frequency, 1.0) ** -slope, 0.0)
    field = np.fft.irfft2(np.fft.rfft2(white) * weight, s=size)
    result = np.asarray(field / field.std(), np.float32)
    result.setflags(write=False)
    return result


def _halve(picture: Floats) -> Floats:
    """Mean of 2×2 blocks, weighted by opacity where there is one; a side of one texel stays."""
    if picture.shape[2] == 4:
        picture = np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], axis=2)
    for axis in (0, 1):
        if picture.shape[axis] > 1:
            even, odd = (np.take(picture, range(at, picture.shape[axis], 2), axis) for at in (0, 1))
            picture = (even + odd) * np.float32(0.5)
    if picture.shape[2] == 4:
        picture[..., :3] /= np.maximum(picture[..., 3:], 1e-6)
    return picture


@dataclass(frozen=True, eq=False)
class Texture:
    """A repeating picture with its smaller copies, one after the other in one table."""

    table: Floats
    """``(texels, channels)``: linear RGB, with opacity as a fourth channel where it has one."""
    height: int
    width: int
    """Of the largest copy, powers of two."""
    offsets: NDArray[np.int32]
    """Where each copy begins."""
    scale: float
    """Texels of the largest copy to a meter."""

    @property
    def opaque(self) -> bool:
        return bool(self.table.shape[1] == 3)

    def sample(self, u: Floats, v: Floats, footprint: Floats | float) -> Floats:
        """Color at ``u`` meters to the right and ``v`` meters down, of pixels ``footprint`` meters wide.

        The footprint picks the copy, so that detail finer than a pixel has faded out; shapes broadcast.
        """
        level = np.log2(np.maximum(np.asarray(footprint, np.float32) * np.float32(self.scale), 1.0)) + np.float32(0.3)
        level = np.minimum(level.astype(np.int32), len(self.offsets) - 1)
        shrink = np.float32(self.scale) / (np.int32(1) << level).astype(np.float32)
        height, width = np.maximum(self.height >> level, 1), np.maximum(self.width >> level, 1)
        column = np.floor(u * shrink).astype(np.int32) & (width - 1)
        row = np.floor(v * shrink).astype(np.int32) & (height - 1)
        colors: Floats = self.table.take(self.offsets[level] + row * width + column, axis=0)
        return colors


def texture(picture: Floats, scale: float) -> Texture:
    """Of a picture ``(h, w, 3 or 4)`` whose sides are powers of two, ``scale`` texels to a meter."""
    height, width = picture.shape[:2]
    if height & (height - 1) or width & (width - 1):
        raise ValueError(f"a texture's sides are powers of two, got {height}×{width}; pad or resize the picture")
    copies = [np.asarray(picture, np.float32)]
    while max(copies[-1].shape[:2]) > 1:
        copies.append(_halve(copies[-1]))
    lengths = [copy.shape[0] * copy.shape[1] for copy in copies]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
    table = np.concatenate([copy.reshape(-1, copy.shape[2]) for copy in copies])
    return Texture(table, height, width, offsets, scale)
