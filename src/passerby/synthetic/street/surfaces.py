"""The textures that are looked up, never evaluated: noise, and images with all their smaller copies (mip maps).

A street fills every image to its edges, so its surfaces must cost one table lookup per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import stream


def linear(srgb: ArrayLike) -> Floats:
    """Return sRGB in 0…1 as linear light."""
    values = np.asarray(srgb, np.float32)
    return np.asarray(values**2.2, np.float32)


@lru_cache(maxsize=64)
def noise(seed: int, size: tuple[int, int] = (512, 512), slope: float = 1.0, longest: float = 1.0) -> Floats:
    """Generate periodic noise of mean 0, variance 1 and amplitude falling with frequency^``slope``; 0 is white.

    Waves longer than ``longest`` times the tile are left out, so that a repeated tile does not show.
    """
    white = stream(seed, "noise", *size).standard_normal(size)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None] * size[0], np.fft.rfftfreq(size[1])[None] * size[1])
    weight = np.where(frequency >= 1.0 / longest, np.maximum(frequency, 1.0) ** -slope, 0.0)
    field = np.fft.irfft2(np.fft.rfft2(white) * weight, s=size)
    result = np.asarray(field / field.std(), np.float32)
    result.setflags(write=False)
    return result


def _halve(image: Floats) -> Floats:
    """Return the mean of 2×2 blocks, weighted by opacity where there is one; a side of one texel stays."""
    if image.shape[2] == 4:
        image = np.concatenate([image[..., :3] * image[..., 3:], image[..., 3:]], axis=2)
    for axis in (0, 1):
        if image.shape[axis] > 1:
            even, odd = (np.take(image, range(at, image.shape[axis], 2), axis) for at in (0, 1))
            image = (even + odd) * np.float32(0.5)
    if image.shape[2] == 4:
        image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    return image


@dataclass(frozen=True, eq=False)
class Texture:
    """A repeating image with its smaller copies, one after the other in one table."""

    table: Floats
    """The table ``(texels, channels)``: linear RGB, with opacity as a fourth channel where it has one."""
    height: int
    width: int
    """The size of the largest copy, powers of two."""
    offsets: NDArray[np.int32]
    """The places where each copy begins."""
    scale: float
    """The texels of the largest copy to a meter."""

    @property
    def opaque(self) -> bool:
        return bool(self.table.shape[1] == 3)

    def sample(self, u: Floats, v: Floats, footprint: Floats | float) -> Floats:
        """Return the color at ``u`` meters to the right and ``v`` meters down, of pixels ``footprint`` meters wide.

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


def texture(image: Floats, scale: float) -> Texture:
    """Make a texture of an image ``(h, w, 3 or 4)`` whose sides are powers of two, ``scale`` texels to a meter."""
    height, width = image.shape[:2]
    if height & (height - 1) or width & (width - 1):
        raise ValueError(f"a texture's sides are powers of two, got {height}×{width}; pad or resize the image")
    copies = [np.asarray(image, np.float32)]
    while max(copies[-1].shape[:2]) > 1:
        copies.append(_halve(copies[-1]))
    lengths = [copy.shape[0] * copy.shape[1] for copy in copies]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
    table = np.concatenate([copy.reshape(-1, copy.shape[2]) for copy in copies])
    return Texture(table, height, width, offsets, scale)
