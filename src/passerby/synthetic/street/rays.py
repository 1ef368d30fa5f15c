"""The light, and the rays through an image's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from passerby.synthetic.render.view import Floats, View


@dataclass(frozen=True, eq=False)
class Light:
    """The linear light of a scene; a white floor in full light has radiance about 1."""

    towards: Floats
    """The unit vector ``(3,)`` towards the sun."""
    sun: Floats
    """The RGB light ``(3,)`` on a surface that faces the sun."""
    sky: Floats
    """The RGB of the ambient light ``(3,)``."""
    shade: float
    """The darkness of cast shadows: 0 (overcast, none) to 1."""

    def on(self, normal: Floats, lit: float = 1.0) -> Floats:
        """Return the irradiance ``(3,)`` of a surface with this unit normal, ``lit`` of it in the sun."""
        ambient = 0.62 + 0.38 * float(normal[2])
        direct = max(float(normal @ self.towards), 0.0) * lit
        return np.asarray(self.sky * np.float32(ambient) + self.sun * np.float32(direct), np.float32)


class Grid(NamedTuple):
    """The rays through a rectangle of pixels, as sums of a row's and a column's part: dot products stay cheap."""

    eye: Floats
    axes: Floats
    x: Floats
    """The x of columns ``(w,)`` on the image plane."""
    y: Floats
    """The y of rows ``(h,)``."""
    pixel: float
    """The side of a pixel at depth 1."""

    def dot(self, vector: Floats) -> Floats:
        """Return the rays' components ``(h, w)`` along a world vector."""
        right, down, forward = (np.float32(value) for value in self.axes @ vector)
        result: Floats = (self.x * right)[None, :] + (self.y * down + forward)[:, None]
        return result

    def cut(self, rows: slice, columns: slice) -> Grid:
        return self._replace(x=self.x[columns], y=self.y[rows])


def grid(view: View, size: tuple[int, int]) -> Grid:
    """Return the rays of all pixels of an image; the same as ``view.rays(size)``."""
    x0, y0, x1, y1 = view.window
    x = x0 + (np.arange(size[1], dtype=np.float32) + np.float32(0.5)) * np.float32((x1 - x0) / size[1])
    y = y0 + (np.arange(size[0], dtype=np.float32) + np.float32(0.5)) * np.float32((y1 - y0) / size[0])
    return Grid(np.asarray(view.eye, np.float32), np.asarray(view.axes, np.float32), x, y, (y1 - y0) / size[0])
