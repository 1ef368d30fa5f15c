"""A tile of smooth noise, looked up wherever something should not be even."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from passerby.synthetic.mannequin.gait import Floats

SIDE = 256


@lru_cache(maxsize=1)
def _tile() -> tuple[Floats, Floats, Floats]:
    """Return height (mean 0, deviation 1) and its slopes along both axes; ``(SIDE · SIDE,)`` each, periodic.

    The spectrum falls with frequency: large soft folds with smaller ones on them.
    """
    rng = np.random.default_rng(20_240_229)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None, :]) * SIDE
    amplitude = np.where(frequency > 0, np.exp(-((frequency / 26.0) ** 2)) / np.maximum(frequency, 5.0) ** 1.2, 0)
    height = np.fft.ifft2(amplitude * np.exp(2j * np.pi * rng.random((SIDE, SIDE)))).real
    height /= height.std()
    slopes = [(np.roll(height, -1, axis) - np.roll(height, 1, axis)) for axis in (1, 0)]
    scale = np.sqrt(np.mean(np.square(slopes)))
    tiles = [
        np.ascontiguousarray(a.astype(np.float32).reshape(-1)) for a in (height, slopes[0] / scale, slopes[1] / scale)
    ]
    return tiles[0], tiles[1], tiles[2]


def _index(x: Floats, y: Floats) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return the cells of positions in tiles: 1 is once across the tile."""
    column = (x * SIDE).astype(np.int32) & (SIDE - 1)
    row = (y * SIDE).astype(np.int32) & (SIDE - 1)
    return row * SIDE + column


def height(x: Floats, y: Floats) -> Floats:
    """Return the noise at ``(n,)`` positions."""
    values: Floats = _tile()[0][_index(x, y)]
    return values


def relief(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the noise and its slopes along x and y, each ``(n,)``."""
    index = _index(x, y)
    tile, along_x, along_y = _tile()
    return tile[index], along_x[index], along_y[index]
