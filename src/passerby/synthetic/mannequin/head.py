"""The head, neck, hair and hat. Lengths are shares of the head's own height, chin to crown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.synthetic.mannequin.gait import Array, Skeleton
from passerby.synthetic.mannequin.loft import Spine, Tube, capped, loft, stacked
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Hair, Person

SKULL = (-0.50, -0.43, -0.25, 0.0, 0.20, 0.37, 0.46, 0.50)
WIDTH = (0.09, 0.19, 0.275, 0.325, 0.325, 0.26, 0.16, 0.03)
DEPTH = (0.10, 0.21, 0.32, 0.385, 0.40, 0.32, 0.20, 0.04)
FRONT = (0.17, 0.12, 0.05, 0.0, -0.02, -0.03, -0.02, -0.02)
HAIRLINE: dict[str, tuple[float, ...]] = {
    "buzz": (0.32, 0.29, 0.05, 0.00, -0.22, -0.30),
    "short": (0.30, 0.27, 0.02, -0.08, -0.30, -0.36),
    "bob": (0.30, 0.26, -0.25, -0.44, -0.48, -0.50),
    "long": (0.30, 0.26, -0.25, -0.46, -0.50, -0.50),
    "ponytail": (0.31, 0.27, 0.00, -0.06, -0.28, -0.34),
    "bun": (0.31, 0.27, 0.00, -0.06, -0.28, -0.34),
}
"""The lowest station of the hair at these angles from the front."""
HAIR_ANGLES = (0.0, 0.85, 1.25, 1.75, 2.2, np.pi)
THICKNESS = {"buzz": 0.012, "short": 0.050, "bob": 0.085, "long": 0.075, "ponytail": 0.035, "bun": 0.035}


def _spine(s: Skeleton, stations: Array, front: Array, names: Array | None = None) -> Spine:
    """Return rings stacked along the head's up axis, ``front`` before its middle; both in heads."""
    size, (_, ahead, up) = s.head_size, s.head_axes
    centers = s.head + size * (stations[:, None] * up + front[:, None] * ahead)
    return stacked(stations if names is None else names, centers, s.head_axes[:2])


def skull(s: Skeleton, spacing: float) -> Tube:
    """Build the head with its nose."""
    size = s.head_size
    spine = _spine(s, np.asarray(SKULL), np.asarray(FRONT))
    width, depth = np.asarray(WIDTH) * size, np.asarray(DEPTH) * size
    tube = capped(spine, width, depth, spacing=spacing, material=Material.FACE)
    nose = np.exp(-((tube.angle / 0.13) ** 2)) * np.exp(-(((tube.share[:, None] + 0.10) / 0.075) ** 2))
    tube.points[...] += (0.055 * size * nose[..., None] * s.head_axes[1]).astype(np.float32)
    return tube


def neck(s: Skeleton, girth: float, spacing: float) -> Tube:
    radius = 0.033 * s.height * (0.5 + 0.5 * girth) * np.array([1.15, 1.0, 1.0])
    top = s.head - 0.22 * s.head_size * s.head_axes[2] - 0.06 * s.head_size * s.head_axes[1]
    line = np.stack([s.neck - 0.02 * s.height * s.chest_axes[2], (s.neck + top) / 2, top])
    spine = stacked((0.0, 0.5, 1.0), line, s.chest_axes[:2])
    return loft(spine, radius, radius, spacing=spacing, material=Material.NECK)


def hair(style: Hair, s: Skeleton, spacing: float) -> list[Tube]:
    """Build what covers the skull, and what hangs from it."""
    if style.style == "bald":
        return []
    line = np.interp(np.linspace(0, np.pi, 64), HAIR_ANGLES, HAIRLINE[style.style])
    if style.fringe:
        line = np.where(np.linspace(0, np.pi, 64) < 1.0, np.minimum(line, 0.15), line)
    tubes = [_shell(s, spacing, Material.HAIR, THICKNESS[style.style], line)]
    if style.style == "long":
        tubes.append(_hanging(s, FALL, spacing))
    if style.style == "ponytail":
        tubes.append(_hanging(s, TAIL, spacing))
    if style.style == "bun":
        tubes.append(_hanging(s, BUN, spacing))
    return tubes


def _shell(s: Skeleton, spacing: float, material: int, thick: float, line: Array) -> Tube:
    """Build a layer over the skull from ``line`` upwards: stations at 64 angles from the front to the back."""
    stations = np.asarray((*SKULL[:-1], 0.50 + thick))
    spine = _spine(s, stations, np.asarray(FRONT) - 0.25 * thick)
    width, depth = (np.asarray(WIDTH) + 0.8 * thick) * s.head_size, (np.asarray(DEPTH) + thick) * s.head_size
    tube = capped(spine, width, depth, spacing=spacing, material=material)
    low = np.interp(np.abs(tube.angle), np.linspace(0, np.pi, 64), line)
    return replace(tube, valid=tube.share[:, None] > low[None, :])


FALL = (
    (0.2, -0.1, -0.4, -0.7, -1.0, -1.15),
    (-0.12, -0.17, -0.20, -0.24, -0.28, -0.28),
    (0.30, 0.38, 0.41, 0.42, 0.36, 0.15),
    (0.32, 0.27, 0.20, 0.14, 0.10, 0.04),
)
"""The shape of long hair: stations, distance before the head's middle, half widths and half depths of its rings."""
TAIL = (
    (0.22, 0.05, -0.3, -0.65, -0.85),
    (-0.42, -0.55, -0.56, -0.50, -0.46),
    (0.05, 0.11, 0.13, 0.09, 0.02),
    (0.045, 0.10, 0.12, 0.08, 0.02),
)
BUN = (
    (0.49, 0.45, 0.33, 0.21, 0.17),
    (-0.40, -0.40, -0.40, -0.40, -0.40),
    (0.05, 0.12, 0.17, 0.12, 0.05),
    (0.05, 0.12, 0.17, 0.12, 0.05),
)


def _hanging(s: Skeleton, shape: tuple[tuple[float, ...], ...], spacing: float) -> Tube:
    """Build hair beyond the skull, from above downwards."""
    stations, front, width, depth = (np.asarray(column) for column in shape)
    spine = _spine(s, stations, front, names=-stations)
    return loft(spine, width * s.head_size, depth * s.head_size, spacing=spacing, material=Material.HAIR)


def hat(person: Person, s: Skeleton, spacing: float) -> list[Tube]:
    """Build a cap with a peak, a beanie, or a hat with a brim all around."""
    if person.hat == "none":
        return []
    low = 0.10 if person.hat == "beanie" else 0.20
    crown = _shell(s, spacing, Material.HAT, 0.085, np.linspace(low + 0.04, low - 0.08, 64))
    if person.hat == "beanie":
        return [crown]
    reach, shift = (0.30, 0.36) if person.hat == "cap" else (0.66, 0.0)
    rim = _spine(s, np.array([0.205, 0.235]), np.array([shift, shift]), names=np.array([0.0, 1.0]))
    width, depth = np.array([reach, 0.95 * reach]), np.array([1.15 * reach, reach])
    brim = loft(rim, width * s.head_size, depth * s.head_size, spacing=spacing, material=Material.HAT)
    return [crown, _disc(brim, s.head_axes[2], spacing)]


def _disc(rim: Tube, up: Array, spacing: float) -> Tube:
    """Build the flat plate inside the first ring."""
    ring = rim.points[0]
    middle = ring.mean(axis=0)
    count = max(3, int(float(np.linalg.norm(ring - middle, axis=1).max()) / spacing) + 1)
    share = np.linspace(0.05, 1.0, count, dtype=np.float32)
    points = middle + share[:, None, None] * (ring - middle)
    normals = np.broadcast_to(up.astype(np.float32), points.shape).copy()
    return Tube(points, normals, share, share, rim.angle, share, np.full(count, rim.material[0], dtype=np.uint8))
