"""The camera's position, and the part of its image that the detector cut out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera over the ground plane z = 0, and a rectangle of its image plane.

    World axes are meters, z up. The image plane lies at depth 1: a point at camera coordinates
    (right, down, forward) falls on (right/forward, down/forward).
    """

    eye: Floats
    """The position ``(3,)`` of the camera."""
    axes: Floats
    """The axes ``(3, 3)``: rows right, down, forward."""
    window: tuple[float, float, float, float]
    """The cut-out x0, y0, x1, y1 on the image plane."""

    def project(self, points: Floats, size: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
        """Project world points ``(n, 3)`` to x, y and depth ``(n,)``; (0, 0) is the first pixel's outer corner."""
        local = (points - self.eye) @ self.axes.T
        depth = local[:, 2]
        x0, y0, x1, y1 = self.window
        x = (local[:, 0] / depth - x0) * (size[1] / (x1 - x0))
        y = (local[:, 1] / depth - y0) * (size[0] / (y1 - y0))
        return x, y, depth

    def rays(self, size: tuple[int, int]) -> Floats:
        """Return world directions ``(h, w, 3)`` of forward length 1 through pixels: point = eye + depth · ray."""
        x0, y0, x1, y1 = self.window
        x = x0 + (np.arange(size[1], dtype=np.float32) + 0.5) * np.float32((x1 - x0) / size[1])
        y = y0 + (np.arange(size[0], dtype=np.float32) + 0.5) * np.float32((y1 - y0) / size[0])
        right, down, forward = self.axes
        rays: Floats = x[None, :, None] * right + y[:, None, None] * down + forward
        return rays
