"""The surfaces as points: elliptical rings strung along a line, sampled as densely as the image needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.mannequin.gait import Array, Floats


@lru_cache(maxsize=512)
def _spline(stations: tuple[float, ...], start: float, end: float, count: int) -> Floats:
    """Return the weights ``(count, m)`` of m values at ascending ``stations`` of a cubic Hermite curve."""
    t = np.asarray(stations, dtype=np.float64)
    m = len(t)
    x = np.linspace(start, end, count)
    i = np.clip(np.searchsorted(t, x, side="right") - 1, 0, m - 2)
    h = t[i + 1] - t[i]
    s = (x - t[i]) / h
    slope = np.zeros((m, m))
    for j in range(m):
        a, b = max(j - 1, 0), min(j + 1, m - 1)
        slope[j, b] += 1 / (t[b] - t[a])
        slope[j, a] -= 1 / (t[b] - t[a])
    weights = np.zeros((count, m))
    rows = np.arange(count)
    weights[rows, i] += 2 * s**3 - 3 * s**2 + 1
    weights[rows, i + 1] += -2 * s**3 + 3 * s**2
    weights += (h * (s**3 - 2 * s**2 + s))[:, None] * slope[i] + (h * (s**3 - s**2))[:, None] * slope[i + 1]
    return weights.astype(np.float32)


@lru_cache(maxsize=512)
def _circle(count: int, power: float) -> tuple[Floats, Floats, Floats]:
    """Return angles from the front (0) over the right (π/2), and a superellipse's sine and cosine there."""
    angle = (np.arange(count) + 0.5) * (2 * np.pi / count) - np.pi
    sine, cosine = np.sin(angle), np.cos(angle)
    reach = (np.abs(sine) ** power + np.abs(cosine) ** power) ** (-1 / power)
    sine, cosine = reach * sine, reach * cosine
    return angle.astype(np.float32), sine.astype(np.float32), cosine.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Tube:
    """A grid of points: ``n`` rings of ``k`` points."""

    points: Floats
    """The points ``(n, k, 3)``."""
    normals: Floats
    """The normals ``(n, k, 3)``, outwards, unit length."""
    along: Floats
    """The meters ``(n,)`` from the first ring."""
    radius: Floats
    """The mean of the two radii ``(n,)``, meters: an angle times it is a way around."""
    angle: Floats
    """The angles ``(k,)``: 0 is the front, π/2 the right."""
    share: Floats
    """The station ``(n,)`` of each ring, in the units of ``stations``."""
    material: NDArray[np.uint8]
    """The material ``(n,)`` of each ring."""
    valid: NDArray[np.bool_] | None = None
    """The points ``(n, k)`` that exist; ``None`` means all."""


@dataclass(frozen=True, eq=False)
class Spine:
    """The line that rings are strung along, with axes across it."""

    stations: tuple[float, ...]
    """The ascending names of its m points: positions along the body part, in whatever unit suits it."""
    centers: Array
    """The centers ``(m, 3)`` in meters."""
    right: Array
    """The unit vectors ``(m, 3)`` to the right."""
    front: Array

    @property
    def length(self) -> float:
        """The length in meters."""
        return float(np.linalg.norm(np.diff(self.centers, axis=0), axis=1).sum())


def stacked(stations: Array | tuple[float, ...], centers: Array, axes: Array) -> Spine:
    """Return a spine whose rings all have the same axes (rows right, front)."""
    count = len(centers)
    names = tuple(float(s) for s in stations)
    return Spine(names, centers, np.tile(axes[0], (count, 1)), np.tile(axes[1], (count, 1)))


def loft(
    spine: Spine,
    half_width: Array,
    half_depth: Array,
    *,
    spacing: float,
    material: int,
    power: float = 2.0,
    start: float | None = None,
    end: float | None = None,
    rings: int | None = None,
) -> Tube:
    """Build a tube of points ``spacing`` meters apart around a spine, or around its piece between two stations.

    Rings are superellipses of this ``power`` (2 an ellipse, more a rounded box) with radii ``(m,)`` in meters.
    """
    first, last = spine.stations[0], spine.stations[-1]
    start, end = first if start is None else start, last if end is None else end
    count = rings or max(4, int(spine.length * (end - start) / (last - first) / spacing) + 2)
    values = np.concatenate([spine.centers, spine.right, spine.front, half_width[:, None], half_depth[:, None]], axis=1)
    line = _spline(spine.stations, start, end, count) @ values.astype(np.float32)
    a, b = np.maximum(line[:, 9], 1e-3), np.maximum(line[:, 10], 1e-3)
    around = max(8, int(2 * np.pi * float(np.maximum(a, b).max()) * 0.92 / spacing) + 1)
    angle, sine, cosine = _circle(around, power)
    across = np.stack([line[:, 0:3], a[:, None] * line[:, 3:6], b[:, None] * line[:, 6:9]], axis=2)
    planes = (across.reshape(-1, 3) @ np.stack([np.ones_like(sine), sine, cosine])).reshape(count, 3, around)
    steps = np.sqrt(np.square(np.diff(line[:, :3], axis=0)).sum(axis=1))
    return Tube(
        points=_as_points(planes),
        normals=_as_points(_normals(planes)),
        along=np.concatenate([[0], np.cumsum(steps)]).astype(np.float32),
        radius=np.asarray((a + b) / 2, np.float32),
        angle=angle,
        share=np.linspace(start, end, count, dtype=np.float32),
        material=np.full(count, material, dtype=np.uint8),
    )


def capped(
    spine: Spine, half_width: Array, half_depth: Array, *, spacing: float, material: int, power: float = 2.0
) -> Tube:
    """Build a shape that closes at its ends, as :func:`loft` does, with rings spread evenly over the caps too."""
    steps = [np.linalg.norm(np.diff(spine.centers, axis=0), axis=1), np.diff(half_width), np.diff(half_depth)]
    outline = np.concatenate([[0.0], np.cumsum(np.sqrt(np.sum(np.square(steps), axis=0)))])
    knots = np.round(outline / outline[-1] + np.arange(len(outline)) * 1e-3, 3)
    even = replace(spine, stations=tuple(knots.tolist()))
    rings = max(4, int(float(outline[-1]) / spacing) + 2)
    tube = loft(even, half_width, half_depth, spacing=spacing, material=material, power=power, rings=rings)
    return replace(tube, share=np.interp(tube.share, knots, spine.stations).astype(np.float32))


def _as_points(planes: Floats) -> Floats:
    """Return ``(n, 3, k)``, in which numpy calculates quickly, as ``(n, k, 3)``."""
    return np.ascontiguousarray(planes.transpose(0, 2, 1))


def _normals(planes: Floats) -> Floats:
    """Compute the normals of the grid by central differences. Rings run up or down: the center decides the sign."""
    around, up = np.empty_like(planes), np.empty_like(planes)
    np.subtract(planes[..., 2:], planes[..., :-2], out=around[..., 1:-1])
    np.subtract(planes[..., 1], planes[..., -1], out=around[..., 0])
    np.subtract(planes[..., 0], planes[..., -2], out=around[..., -1])
    np.subtract(planes[2:], planes[:-2], out=up[1:-1])
    np.subtract(planes[1], planes[0], out=up[0])
    np.subtract(planes[-1], planes[-2], out=up[-1])
    normals = np.empty_like(planes)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.subtract(around[:, j] * up[:, k], around[:, k] * up[:, j], out=normals[:, i])
    length = np.sqrt(normals[:, 0] ** 2 + normals[:, 1] ** 2 + normals[:, 2] ** 2) + 1e-9
    middle = len(planes) // 2
    outwards = planes[middle] - planes[middle].mean(axis=1, keepdims=True)
    sign = 1.0 if float((outwards * normals[middle]).sum()) >= 0 else -1.0
    normals *= (sign / length)[:, None]
    return normals


@dataclass(eq=False)
class Mesh:
    """The tubes of one person, in her own axes."""

    tubes: list[Tube] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    """The thing that each tube is of; −1 for the body and its clothes."""

    def add(self, *tubes: Tube, owner: int = -1) -> None:
        self.tubes.extend(tubes)
        self.owners.extend([owner] * len(tubes))

    def points(self) -> tuple[Floats, Floats]:
        """Return all points and normals, each ``(N, 3)``."""
        return (
            np.concatenate([t.points.reshape(-1, 3) for t in self.tubes]),
            np.concatenate([t.normals.reshape(-1, 3) for t in self.tubes]),
        )

    def valid(self) -> NDArray[np.bool_]:
        """Return which points exist: ``(N,)``."""
        return np.concatenate(
            [
                np.ones(t.points.shape[0] * t.points.shape[1], bool) if t.valid is None else t.valid.reshape(-1)
                for t in self.tubes
            ]
        )

    def look_up(self, index: NDArray[np.int64]) -> Fragments:
        """Return what belongs to the points with these indices."""
        sizes = np.array([t.points.shape[0] * t.points.shape[1] for t in self.tubes])
        starts = np.concatenate([[0], np.cumsum(sizes)])
        tube = np.searchsorted(starts, index, side="right") - 1
        sectors = np.array([len(t.angle) for t in self.tubes])[tube]
        local = index - starts[tube]
        row, column = local // sectors, local % sectors
        first = np.concatenate([[0], np.cumsum([len(t.along) for t in self.tubes])])
        ring = first[tube] + row
        along, radius, share = (
            np.concatenate([getattr(t, name) for t in self.tubes])[ring] for name in ("along", "radius", "share")
        )
        angle = ((column + 0.5) * (2 * np.pi / sectors) - np.pi).astype(np.float32)
        material = np.concatenate([t.material for t in self.tubes])[ring]
        return Fragments(angle, angle * radius, along, share, material, tube, np.array(self.owners)[tube])


@dataclass(frozen=True, eq=False)
class Fragments:
    """The visible points, each ``(n,)``: the place of each on its surface."""

    angle: Floats
    across: Floats
    """The meters around from the front, to the right positive."""
    along: Floats
    share: Floats
    material: NDArray[np.uint8]
    tube: NDArray[np.int64]
    owner: NDArray[np.int64]
    """The index of the thing carried; −1 for none."""

    def __getitem__(self, rows: NDArray[np.bool_]) -> Fragments:
        return Fragments(
            *(getattr(self, f)[rows] for f in ("angle", "across", "along", "share", "material", "tube", "owner"))
        )
