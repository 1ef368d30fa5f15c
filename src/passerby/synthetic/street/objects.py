"""The solid things of a scene, met by rays in closed form: panels, boxes, posts and domes.

Each is painted into its own rectangle of the image only, and is left out where that rectangle is empty.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.render.view import Floats, View
from passerby.synthetic.street.rays import Grid, Light
from passerby.synthetic.street.surfaces import Texture


class Paint(NamedTuple):
    """The appearance of an object in a rectangle of pixels."""

    depth: Floats
    """The depth ``(h, w)``; infinite where the rays miss it."""
    color: Floats
    """The color ``(h, w, 3)`` or broadcastable to it."""
    alpha: Floats | None
    """The opacity ``(h, w)``; ``None`` where the object is opaque."""


class Foot(NamedTuple):
    """A turned rectangle on the ground, with the height of what stands on it."""

    center: Floats
    """The center ``(2,)``."""
    along: Floats
    """The unit vector ``(2,)`` along the length."""
    length: float
    width: float
    """The halves of its sides, meters."""
    height: float

    def distance(self, x: Floats, y: Floats) -> Floats:
        """Return the meters from points to the rectangle; negative within."""
        dx, dy = x - self.center[0], y - self.center[1]
        u = np.abs(dx * self.along[0] + dy * self.along[1]) - np.float32(self.length)
        v = np.abs(dy * self.along[0] - dx * self.along[1]) - np.float32(self.width)
        return np.asarray(np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0), np.float32)


class Solid(ABC):
    """A thing that rays can meet."""

    @abstractmethod
    def corners(self) -> Floats:
        """Return points ``(n, 3)`` whose convex hull holds it."""

    @abstractmethod
    def paint(self, rays: Grid, light: Light) -> Paint:
        """Return what the rays see of it."""

    def foot(self) -> Foot:
        """Return what it covers of the ground."""
        points = self.corners()
        low, high = points.min(axis=0), points.max(axis=0)
        half = (high - low) / 2
        return Foot((low + half)[:2], np.array([1, 0], np.float32), float(half[0]), float(half[1]), float(high[2]))


NEAR = 0.2
"""The distance in meters nearer than which nothing is rendered."""


def _seen(depth: Floats, inside: NDArray[np.bool_]) -> Floats:
    return np.where(inside & (depth > NEAR), depth, np.float32(np.inf))


def _grounded(height: Floats) -> Floats:
    """Return how much darker a thing is near the ground, which blocks the sky's light."""
    return np.asarray(np.float32(0.68) + np.float32(0.32) * np.clip(height * 2, 0, 1), np.float32)


@dataclass(frozen=True, eq=False)
class Panel(Solid):
    """An upright or tilted rectangle with a texture that may have holes: facades, fences, parked bicycles, crowns."""

    corner: Floats
    """The lower left corner ``(3,)``."""
    along: Floats
    """The unit vector ``(3,)`` to its right."""
    up: Floats
    """The unit vector ``(3,)`` upwards."""
    width: float
    height: float
    skin: Texture
    """The texture, whose lower edge lies on the panel's."""
    shift: float = 0.0
    """The meters by which the texture starts further right."""
    lit: float = 1.0
    """The share of the sun that reaches it."""
    glow: Floats | None = None
    """The light ``(3,)`` of its own, which multiplies its texture."""
    depth: float = 0.3
    """The meters of the ground that the thing it stands for takes."""
    soft: bool = False
    """The choice of light from everywhere alike, as on leaves, rather than by its flat normal."""

    def corners(self) -> Floats:
        right, high = self.along * np.float32(self.width), self.up * np.float32(self.height)
        return np.stack([self.corner, self.corner + right, self.corner + high, self.corner + right + high])

    def foot(self) -> Foot:
        middle = self.corner + self.along * np.float32(self.width / 2)
        top = float(self.corner[2] + self.up[2] * self.height)
        return Foot(middle[:2], self.along[:2], self.width / 2, self.depth / 2, top)

    def _light(self, rays: Grid, light: Light) -> Floats:
        normal = np.cross(self.along, self.up).astype(np.float32)
        if normal @ (rays.eye - self.corner) < 0:
            normal = -normal
        if self.soft:
            return np.asarray(light.sky * 0.75 + light.sun * np.float32(0.45 * self.lit), np.float32)
        return light.on(normal, self.lit) + (0 if self.glow is None else self.glow)

    def paint(self, rays: Grid, light: Light) -> Paint:
        normal = np.cross(self.along, self.up).astype(np.float32)
        away = np.float32(normal @ (self.corner - rays.eye))
        slope = rays.dot(normal)
        depth = away / np.where(np.abs(slope) < 1e-4, np.float32(1e-4), slope)
        offset = rays.eye - self.corner
        u = depth * rays.dot(self.along) + np.float32(offset @ self.along)
        v = depth * rays.dot(self.up) + np.float32(offset @ self.up)
        depth = _seen(depth, (u >= 0) & (u < self.width) & (v >= 0) & (v < self.height))
        middle = float(np.linalg.norm(self.corners().mean(axis=0) - rays.eye))
        distance = float(np.clip(np.median(depth[:: max(len(depth) // 8, 1)]), NEAR, middle * 3))
        image = self.skin.sample(u + np.float32(self.shift), -v, rays.pixel * distance)
        color = image[..., :3] * self._light(rays, light)
        return Paint(depth, color, None if self.skin.opaque else image[..., 3])


@dataclass(frozen=True, eq=False)
class Box(Solid):
    """A cuboid on end, turned about the vertical: curbs, walls, hedges, cars, cabinets."""

    center: Floats
    """The middle ``(3,)`` of its floor."""
    size: Floats
    """The length, width and height ``(3,)``."""
    yaw: float
    skin: Texture | None
    color: Floats
    """The linear color ``(3,)`` that multiplies the texture."""
    top: float = 1.0
    """The brightness of its upper face beside the sides'."""
    lit: float = 1.0

    def _axes(self) -> Floats:
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], np.float32)

    def corners(self) -> Floats:
        signs = np.array([[i, j, k] for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (0, 1)], np.float32)
        return np.asarray(self.center + (signs * self.size) @ self._axes(), np.float32)

    def foot(self) -> Foot:
        length, width, height = (float(side) for side in self.size)
        return Foot(self.center[:2], self._axes()[0, :2], length / 2, width / 2, float(self.center[2]) + height)

    def paint(self, rays: Grid, light: Light) -> Paint:
        axes = self._axes()
        half = np.array([self.size[0] / 2, self.size[1] / 2, self.size[2] / 2], np.float32)
        start = axes @ (rays.eye - self.center) - np.array([0, 0, half[2]], np.float32)
        ways = [rays.dot(axis) for axis in axes]
        ways = [np.where(np.abs(way) < 1e-4, np.float32(1e-4), way) for way in ways]
        enter = [(-np.sign(way) * half[i] - start[i]) / way for i, way in enumerate(ways)]
        leave = [(np.sign(way) * half[i] - start[i]) / way for i, way in enumerate(ways)]
        depth = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
        inside = depth <= np.minimum(np.minimum(leave[0], leave[1]), leave[2])
        face = np.where(depth == enter[2], 2, np.where(depth == enter[1], 1, 0))
        lights = [light.on(np.asarray(np.sign(start[i]) * axes[i], np.float32), self.lit) for i in range(3)]
        lights[2] = lights[2] * np.float32(self.top)
        height = start[2] + half[2] + self.center[2] + depth * ways[2]
        color = np.stack(lights)[face] * self.color * _grounded(height)[..., None]
        if self.skin is not None:
            along = np.where(face == 0, start[1] + depth * ways[1], start[0] + depth * ways[0])
            across = np.where(face == 2, start[1] + depth * ways[1], start[2] - half[2] + depth * ways[2])
            distance = float(np.linalg.norm(self.center - rays.eye))
            color = color * self.skin.sample(along, -across, rays.pixel * distance)[..., :3]
        return Paint(_seen(depth, inside), color, None)


@dataclass(frozen=True, eq=False)
class Post(Solid):
    """An upright cylinder: poles, tree stems, bollards, bins."""

    base: Floats
    """The middle ``(3,)`` of its foot."""
    radius: float
    height: float
    color: Floats
    """The linear color ``(3,)``."""
    bands: Floats | None = None
    """The color ``(3,)`` of every other half meter, where it is ringed."""
    lit: float = 1.0

    def corners(self) -> Floats:
        r, h = self.radius, self.height
        signs = np.array([[i, j, k] for i in (-r, r) for j in (-r, r) for k in (0, h)], np.float32)
        return self.base + signs

    def paint(self, rays: Grid, light: Light) -> Paint:
        dx, dy, dz = (rays.dot(axis) for axis in np.eye(3, dtype=np.float32))
        ox, oy, oz = (np.float32(value) for value in rays.eye - self.base)
        a, b = dx * dx + dy * dy, dx * ox + dy * oy
        rest = b * b - a * np.float32(ox * ox + oy * oy - self.radius**2)
        root = np.sqrt(np.maximum(rest, 0))
        depth = (-b - root) / a
        z = oz + depth * dz
        inside = (rest > 0) & (z >= 0) & (z <= self.height)
        nx, ny = (ox + depth * dx) / np.float32(self.radius), (oy + depth * dy) / np.float32(self.radius)
        direct = np.maximum(nx * light.towards[0] + ny * light.towards[1], 0) * np.float32(self.lit)
        color = self.color if self.bands is None else np.where((z % 1.0 < 0.5)[..., None], self.color, self.bands)
        color = color * (direct[..., None] * light.sun + light.sky * np.float32(0.62)) * _grounded(z)[..., None]
        cap = (self.height - oz) / np.where(np.abs(dz) < 1e-4, np.float32(1e-4), dz)
        flat = (ox + cap * dx) ** 2 + (oy + cap * dy) ** 2 < self.radius**2
        flat &= (oz > self.height) & (cap > 0)
        color = np.where(flat[..., None], self.color * light.on(np.array([0, 0, 1], np.float32), self.lit), color)
        return Paint(_seen(np.where(flat, cap, depth), inside | flat), color, None)


@dataclass(frozen=True, eq=False)
class Dome(Solid):
    """The upper part of an ellipsoid: an open umbrella, a bush."""

    center: Floats
    """The center ``(3,)``."""
    radii: Floats
    """The radii ``(3,)``."""
    color: Floats
    second: Floats
    """The color ``(3,)`` of every other of its sixteen sectors."""
    floor: float = 0.0
    """The height above its center below which it is open, in radii."""

    def corners(self) -> Floats:
        signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (self.floor, 1)], np.float32)
        return np.asarray(self.center + signs * self.radii, np.float32)

    def paint(self, rays: Grid, light: Light) -> Paint:
        ways = [rays.dot(axis) / radius for axis, radius in zip(np.eye(3, dtype=np.float32), self.radii, strict=True)]
        start = (rays.eye - self.center) / self.radii
        a = ways[0] ** 2 + ways[1] ** 2 + ways[2] ** 2
        b = ways[0] * start[0] + ways[1] * start[1] + ways[2] * start[2]
        rest = b * b - a * np.float32(start @ start - 1)
        root = np.sqrt(np.maximum(rest, 0))
        near, far = (-b - root) / a, (-b + root) / a
        outer = start[2] + near * ways[2] >= self.floor
        depth = np.where(outer, near, far)
        x, y, z = (start[i] + depth * ways[i] for i in range(3))
        sector = np.floor(np.arctan2(y, x) * np.float32(8 / np.pi)).astype(np.int32) & 1
        facing = x * light.towards[0] + y * light.towards[1] + z * light.towards[2]
        direct = np.where(outer, np.maximum(facing, 0), np.float32(0.15))
        ambient = np.where(outer, 0.7 + 0.3 * z, np.float32(0.35)).astype(np.float32)
        color = np.stack([self.color, self.second])[sector]
        color = color * (direct[..., None] * light.sun + ambient[..., None] * light.sky)
        return Paint(_seen(depth, (rest > 0) & (z >= self.floor)), color, None)


def hull(solid: Solid) -> Floats:
    """Return the corners ``(8, 3)``, the last one repeated where there are fewer."""
    points = solid.corners()
    return points[np.minimum(np.arange(8), len(points) - 1)]


def windows(hulls: Floats, view: View, size: tuple[int, int]) -> list[tuple[slice, slice] | None]:
    """Return rows and columns of the pixels that each of ``(n, 8, 3)`` hulls may touch; ``None`` outside the image."""
    ahead = ((hulls - view.eye) @ view.axes[2]) > NEAR
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, _ = view.project(hulls.reshape(-1, 3), size)
    edges = np.stack([y, x]).reshape(2, len(hulls), 8)
    limits = np.array(size)[:, None]
    edges = np.clip(np.nan_to_num(edges, posinf=1e6, neginf=-1e6), -1e6, 1e6)
    first = np.clip(edges.min(axis=2).astype(int), 0, limits)
    last = np.clip(edges.max(axis=2).astype(int) + 2, 0, limits)
    whole = ~ahead.all(axis=1)  # reaches beside or behind the eye, where projection turns over
    first[:, whole], last[:, whole] = 0, limits
    seen = ahead.any(axis=1) & (first < last).all(axis=0)
    boxes = zip(seen, *first.tolist(), *last.tolist(), strict=True)
    return [(slice(top, bottom), slice(left, right)) if one else None for one, top, left, bottom, right in boxes]
