"""Light, and the rays through a picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from passerby.synthetic.render.view import Floats, View


@dataclass(frozen=True, eq=False)
class Light:
    """Of a scene, in linear light; a white floor in full light has radiance about 1."""

    towards: Floats
    """``(3,)`` unit vector towards the sun."""
    sun: Floats
    """``(3,)`` RGB on a surface that faces it."""
    sky: Floats
    """``(3,)`` RGB of the ambient light."""
    shade: float
    """How dark cast shadows are: 0 (overcast, none) to 1."""

    def on(self, normal: Floats, lit: float = 1.0) -> Floats:
        """``(3,)``: irradiance of a surface with this unit normal, ``lit`` of it in the sun."""
        ambient = 0.62 + 0.38 * float(normal[2])
        direct = max(float(normal @ self.towards), 0.0) * lit
        return np.asarray(self.sky * np.float32(ambient) + self.sun * np.float32(direct), np.float32)


class Grid(NamedTuple):
    """The rays through a rectangle of pixels, as sums of a row's and a column's part: dot products stay cheap."""

    eye: Floats
    axes: Floats
    x: Floats
    """``(w,)`` on the image plane."""
    y: Floats
    """``(h,)``."""
    pixel: float
    """Side of a pixel at depth 1."""

    def dot(self, vector: Floats) -> Floats:
        """``(h, w)``: the rays' components along a world vector."""
        right, down, forward = (np.float32(value) for value in self.axes @ vector)
        result: Floats = (self.x * right)[None, :] + (self.y * down + forward)[:, None]
        return result

    def cut(self, rows: slice, columns: slice) -> Grid:
        return self._replace(x=self.x[columns], y=self.y[rows])


def grid(view: View, size: tuple[int, int]) -> Grid:
    """All pixels of a picture; the same rays as ``view.rays(size)``."""
    x0, y0, x1, y1 = view.window
    x = x0 + (np.arange(size[1], dtype=np.float32) + np.float32(0.5)) * np.float32((x1 - x0) / size[1])
    y = y0 + (np.arange(size[0], dtype=np.float32) + np.float32(0.5)) * np.float32((y1 - y0) / size[0])
    return Grid(np.asarray(view.eye, np.float32), np.asarray(view.axes, np.float32), x, y, (y1 - y0) / size[0])
