"""The way from meshes to pixels: points by depth, then color and light for those that are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.mannequin import noise
from passerby.synthetic.mannequin.gait import Array, Floats
from passerby.synthetic.mannequin.loft import Fragments, Mesh
from passerby.synthetic.mannequin.materials import CLOTH, PART_OF, Material
from passerby.synthetic.mannequin.paint import Painter
from passerby.synthetic.render.view import View
from passerby.synthetic.street.rays import Light
from passerby.synthetic.street.scene import Backdrop

SPACING = 0.62
"""The distance of the points in pixels: less leaves holes, more costs time."""
CELL = 0.022
"""The size of a cell of the shadow map, meters."""
FOLD = 0.24


@dataclass(eq=False)
class Canvas:
    """The state of a rendering of ``h, w`` pixels."""

    color: Floats
    """The linear light ``(h, w, 3)``."""
    depth: Floats
    """The depth ``(h, w)`` in meters."""
    ground: NDArray[np.bool_]
    parts: NDArray[np.uint8]
    """The parts ``(h, w)`` of the subject; 0 where she is not seen."""

    @classmethod
    def over(cls, backdrop: Backdrop, size: tuple[int, int]) -> Canvas:
        """Return an empty rendering of ``size`` over a backdrop that may be coarser."""
        coarse = backdrop.depth.shape
        rows, columns = (np.arange(size[i]) * coarse[i] // size[i] for i in (0, 1))
        color, depth, ground = (np.ascontiguousarray(plane[rows][:, columns]) for plane in backdrop)
        return cls(color, depth, ground, np.zeros(size, dtype=np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        return self.depth.shape[0], self.depth.shape[1]


@dataclass(frozen=True, eq=False)
class Placed:
    """A mesh in the world."""

    mesh: Mesh
    painter: Painter
    points: Floats
    """The points ``(N, 3)`` in the person's axes, as are the normals."""
    normals: Floats
    axes: Floats
    """The axes ``(3, 3)``: rows right, front, up of the person in the world."""
    position: Floats
    """The position ``(3,)`` in the world."""
    fold: float
    """The phase of the folds: cloth falls differently in every image."""

    def world(self, points: Floats) -> Floats:
        """Return some of the points in the world's axes."""
        placed: Floats = points @ self.axes + self.position
        return placed


def place(mesh: Mesh, painter: Painter, axes: Array, position: Array, fold: float) -> Placed:
    """Place a mesh where its person stands."""
    points, normals = mesh.points()
    return Placed(mesh, painter, points, normals, axes.astype(np.float32), position.astype(np.float32), fold)


def render_person(canvas: Canvas, placed: Placed, view: View, light: Light, *, subject: bool) -> None:
    """Add one person to the canvas, with her shadow on the ground."""
    _cast_shadow(canvas, placed, view, light)
    pixels, winners, depth = _splat(canvas, placed, view)
    if len(pixels) == 0:
        return
    fragments = placed.mesh.look_up(winners)
    albedo = placed.painter.color(fragments) ** np.float32(2.2)
    normals = _fold(fragments, placed.normals[winners] @ placed.axes, placed.fold)
    lit = _shade(albedo, normals, placed, winners, light)
    lit *= _occlusion(pixels, depth, canvas.size)[:, None]
    canvas.color.reshape(-1, 3)[pixels] = lit
    canvas.depth.reshape(-1)[pixels] = depth
    canvas.ground.reshape(-1)[pixels] = False
    parts = np.asarray(PART_OF, dtype=np.uint8)[fragments.material] if subject else 0
    canvas.parts.reshape(-1)[pixels] = parts


def _splat(canvas: Canvas, placed: Placed, view: View) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Find the pixels that show the person, the nearest point in each, and its depth."""
    height, width = canvas.size
    eye = (placed.axes @ (view.eye - placed.position)).astype(np.float32)
    facing = np.einsum("nc,nc->n", placed.normals, placed.points) < placed.normals @ eye
    index = np.flatnonzero(facing & placed.mesh.valid())
    x, y, depth = view.project(placed.world(placed.points[index]), (height, width))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0.3)
    index, depth = index[inside], depth[inside]
    pixel = y[inside].astype(np.int64) * width + x[inside].astype(np.int64)
    order = _far_first(depth)  # the nearest is written last and stays
    nearest = np.full(height * width, -1, dtype=np.int64)
    nearest[pixel[order]] = order
    _close_holes(nearest.reshape(height, width))
    pixels = np.flatnonzero(nearest >= 0)
    chosen = nearest[pixels]
    shown = depth[chosen] < canvas.depth.reshape(-1)[pixels]
    pixels, chosen = pixels[shown], chosen[shown]
    return pixels, index[chosen], depth[chosen]


def _far_first(depth: Floats) -> NDArray[np.int64]:
    """Return the order of falling depth, to 65,536 steps: whole numbers of that size sort in linear time."""
    if len(depth) == 0:
        return np.zeros(0, dtype=np.int64)
    near, far = float(depth.min()), float(depth.max())
    steps = ((far - depth) * np.float32(65_535 / max(far - near, 1e-6))).astype(np.uint16)
    return np.argsort(steps, kind="stable")


def _close_holes(nearest: NDArray[np.int64]) -> None:
    """Give a pixel between two covered ones the point of one of them (in place)."""
    for a, b, middle in (
        (nearest[:, :-2], nearest[:, 2:], nearest[:, 1:-1]),
        (nearest[:-2], nearest[2:], nearest[1:-1]),
    ):
        hole = (middle < 0) & (a >= 0) & (b >= 0)
        middle[hole] = a[hole]


def _fold(f: Fragments, normals: Floats, phase: float) -> Floats:
    """Modify the normals where cloth falls in folds."""
    cloth = np.isin(f.material, CLOTH)
    strength = np.where(cloth, np.float32(FOLD), np.float32(0.06))
    trousers = f.material == Material.TROUSER
    side = np.abs(f.across)  # mirrored, so that no seam shows at the back; the sine below makes the halves differ
    x = side * np.where(trousers, np.float32(0.45), np.float32(0.40)) + np.float32(0.3) * f.along + np.float32(phase)
    y = (
        np.float32(0.12) * np.sin(f.angle)
        + f.along * np.where(trousers, np.float32(0.60), np.float32(0.42))
        + np.float32(phase * 3.7)
        + f.tube * np.float32(0.31)
    )
    _, slope_x, slope_y = noise.relief(x.astype(np.float32), y.astype(np.float32))
    around = np.stack([-normals[:, 1], normals[:, 0], np.zeros(len(normals), dtype=np.float32)], axis=1)
    bent = normals + (strength * slope_x)[:, None] * around
    bent[:, 2] += strength * slope_y
    bent /= np.sqrt(np.einsum("nc,nc->n", bent, bent))[:, None] + np.float32(1e-6)
    return np.asarray(bent, np.float32)


def _shade(albedo: Floats, normals: Floats, placed: Placed, winners: NDArray[np.int64], light: Light) -> Floats:
    """Shade by the sun (with the person's own shadow), the sky, and light thrown back by the ground."""
    towards = light.towards.astype(np.float32)
    sun = np.clip(normals @ towards, 0, None)
    if light.shade > 0:
        sun = sun * (1 - np.float32(light.shade) * _self_shadow(placed, winners, towards))
    sky = 0.55 + 0.45 * normals[:, 2]
    bounce = np.clip(-normals[:, 2] * 0.5 + 0.35, 0, 1) * 0.22
    ambient = np.asarray(light.sky, dtype=np.float32)
    direct = np.asarray(light.sun, dtype=np.float32)
    radiance = sun[:, None] * direct + sky[:, None] * ambient + bounce[:, None] * (ambient + 0.4 * direct)
    return np.asarray(albedo * radiance, np.float32)


def _self_shadow(placed: Placed, winners: NDArray[np.int64], towards: Floats) -> Floats:
    """Return 1 where another part of the person stands between the point and the sun; ``(n,)``."""
    side = np.cross(towards, np.array([0.1, 0.2, 1.0], dtype=np.float32)).astype(np.float32)
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(towards, side), towards]).astype(np.float32)
    casters = placed.world(placed.points[::3]) @ frame.T
    seen = placed.world(placed.points[winners]) @ frame.T
    low = casters[:, :2].min(axis=0) - CELL
    cells = ((casters[:, :2] - low) / CELL).astype(np.int64)
    width = int(cells[:, 0].max()) + 3
    flat = cells[:, 1] * width + cells[:, 0]
    order = _far_first(-casters[:, 2])
    highest = np.full((int(cells[:, 1].max()) + 3) * width, -1e9, dtype=np.float32)
    highest[flat[order]] = casters[order, 2]
    at = ((seen[:, :2] - low) / CELL).astype(np.int64)
    at = np.clip(at, 0, [width - 1, len(highest) // width - 1])
    above = highest[at[:, 1] * width + at[:, 0]] - seen[:, 2]
    shadow: Floats = np.clip((above - 0.05) / 0.03, 0, 1).astype(np.float32)
    return shadow


def _occlusion(pixels: NDArray[np.int64], depth: Floats, size: tuple[int, int]) -> Floats:
    """Darken where the surroundings stand nearer: between arm and torso, under the chin; ``(n,)`` in 0.6…1."""
    height, width = size
    plane = np.zeros(height * width, dtype=np.float32)
    cover = np.zeros(height * width, dtype=np.float32)
    plane[pixels], cover[pixels] = depth, 1.0
    reach = max(1, height // 40)
    near = _box(plane.reshape(size), reach) / np.maximum(_box(cover.reshape(size), reach), 1e-6)
    behind = depth - near.reshape(-1)[pixels]
    return np.asarray(1 - np.clip(behind * 4.0, 0, 0.4), np.float32)


def _box(plane: Floats, reach: int) -> Floats:
    """Compute the mean over a square of ``2 · reach + 1`` pixels."""
    padded = np.pad(plane, ((reach + 1, reach), (reach + 1, reach)), mode="edge")
    total = padded.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    side = 2 * reach + 1
    window = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    mean: Floats = (window / side**2).astype(np.float32)
    return mean


def _cast_shadow(canvas: Canvas, placed: Placed, view: View, light: Light) -> None:
    """Darken the ground away from the sun, and softly around the feet."""
    height, width = canvas.size
    sample = placed.world(placed.points[::7])
    towards = light.towards
    fallen = sample - sample[:, 2:] * (towards / max(float(towards[2]), 0.15))
    feet = sample[sample[:, 2] < 0.35] * np.array([1.0, 1.0, 0.0], dtype=np.float32)
    shades = []
    for points, reach, dark in ((fallen, max(1, height // 90), light.shade * 0.75), (feet, max(2, height // 32), 0.55)):
        if dark <= 0 or len(points) == 0:
            continue
        points = points.astype(np.float32)
        points[:, 2] = 0
        x, y, depth = view.project(points, (height, width))
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0.3)
        hits = np.zeros((height, width), dtype=np.float32)
        hits[y[inside].astype(np.int64), x[inside].astype(np.int64)] = 1.0
        spread = _box(hits, reach)
        shades.append(np.float32(dark) * np.clip(spread * 2.2, 0, 1))
    for shade in shades:
        canvas.color *= 1 - (shade * canvas.ground)[..., None]
