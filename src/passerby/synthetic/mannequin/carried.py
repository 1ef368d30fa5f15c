"""The bags, umbrellas and other things that people carry, each where it is worn or held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from passerby.synthetic.mannequin.gait import Array, Skeleton
from passerby.synthetic.mannequin.loft import Tube, capped, loft, stacked
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Thing, ThingKind

UP = np.array([0.0, 0.0, 1.0])


def _box(middle: Array, axes: Array, half: Array, spacing: float, material: int, power: float = 5.0) -> Tube:
    """Build a rounded box; ``half`` ``(3,)`` is along the axes right, front, up."""
    stations = np.array([-1.0, -0.97, -0.85, -0.4, 0.4, 0.85, 0.97, 1.0])
    girth = np.array([0.05, 0.82, 0.97, 1.0, 1.0, 0.95, 0.75, 0.05])
    spine = stacked(stations, middle + half[2] * stations[:, None] * axes[2], axes[:2])
    return capped(spine, half[0] * girth, half[1] * girth, spacing=spacing, material=material, power=power)


def _rod(points: Array, radius: float, spacing: float, material: int) -> Tube:
    along = points[-1] - points[0]
    side = np.cross(along, [0.3, 0.9, 0.2])
    side /= np.linalg.norm(side)
    front = np.cross(side, along / np.linalg.norm(along))
    spine = stacked(np.linspace(0, 1, len(points)), points, np.stack([side, front]))
    thin = np.full(len(points), radius)
    return loft(spine, thin, thin, spacing=spacing, material=material)


@dataclass(frozen=True, eq=False)
class Hold:
    """A thing and the body that carries it."""

    thing: Thing
    s: Skeleton
    depth: float
    """The half depth of the torso in its clothes, meters."""
    spacing: float

    @property
    def side(self) -> int:
        return 0 if self.thing.side == "right" else 1

    @property
    def way(self) -> float:
        """The sign of the side along the axis to the right."""
        return 1.0 if self.side == 0 else -1.0

    def grip(self, share: float) -> Array:
        """Return a point between the wrist (0) and the fingertips (1): ``(3,)``."""
        wrist: Array = self.s.wrists[self.side]
        point: Array = wrist + share * (self.s.hands[self.side] - wrist)
        return point

    def half(self, right: float, front: float, up: float) -> Array:
        """Return the half extents in meters of a box given in shares of the body's height."""
        return np.array([right, front, up]) * self.s.height * self.thing.size


def carry(thing: Thing, s: Skeleton, depth: float, spacing: float) -> list[Tube]:
    """Build the tubes of one thing; ``depth`` is the torso's half depth in its clothes, meters."""
    return MAKERS[thing.kind](Hold(thing, s, depth, spacing))


def _backpack(at: Hold) -> list[Tube]:
    s, half = at.s, at.half(0.082, 0.052, 0.125)
    middle = s.chest - (at.depth + 0.75 * half[1]) * s.chest_axes[1] - 0.085 * s.height * s.chest_axes[2]
    pocket = middle - half[1] * s.chest_axes[1] - 0.42 * half[2] * s.chest_axes[2]
    return [
        _box(middle, s.chest_axes, half, at.spacing, Material.BAG, 3.2),
        _box(pocket, s.chest_axes, half * [0.75, 0.45, 0.45], at.spacing, Material.BAG, 4.0),
    ]


def _shoulder_bag(at: Hold) -> list[Tube]:
    s, half = at.s, at.half(0.038, 0.085, 0.062)
    outwards = at.way * (half[0] + 0.055 * s.height) * s.pelvis_axes[0]
    middle = s.hips[at.side] + outwards + 0.03 * s.height * UP - 0.02 * s.height * s.pelvis_axes[1]
    return [_box(middle, s.pelvis_axes, half, at.spacing, Material.BAG, 3.5)]


def _handbag(at: Hold) -> list[Tube]:
    s, half, grip = at.s, at.half(0.024, 0.082, 0.062), at.grip(0.7)
    middle = grip - (0.07 * s.height + half[2]) * UP
    ahead, top = s.pelvis_axes[1] * half[1] * 0.6, middle + half[2] * UP
    hand = grip - 0.01 * UP
    handle = np.stack([top - ahead, hand - 0.3 * ahead, hand + 0.3 * ahead, top + ahead])
    return [
        _box(middle, s.pelvis_axes, half, at.spacing, Material.BAG, 4.0),
        _rod(handle, 0.007, at.spacing, Material.STRAP),
    ]


def _umbrella(at: Hold) -> list[Tube]:
    """Build an open umbrella over the head: against rain or sun."""
    s, grip = at.s, at.grip(1.0)
    top = np.array([*(grip[:2] + s.head[:2]) / 2, s.head[2] + 0.24 * s.height])
    tilt = (top - grip) / np.linalg.norm(top - grip)
    right = np.cross([0.0, 1.0, 0.0], tilt)
    right /= np.linalg.norm(right)
    stations = np.array([0.0, 0.35, 0.7, 0.92, 1.0])
    girth = 0.27 * s.height * at.thing.size * np.array([1.0, 0.88, 0.6, 0.28, 0.02])
    centers = top + (stations[:, None] - 1.0) * 0.11 * s.height * tilt
    spine = stacked(stations, centers, np.stack([right, np.cross(tilt, right)]))
    canopy = capped(spine, girth, girth, spacing=at.spacing, material=Material.UMBRELLA)
    shaft = np.stack([grip - 0.06 * tilt, (grip + top) / 2, top])
    return [canopy, _rod(shaft, 0.008, at.spacing, Material.GADGET)]


def _phone(at: Hold) -> list[Tube]:
    axes = at.s.chest_axes
    middle = at.grip(1.0) + 0.02 * axes[1] + 0.02 * UP
    return [_box(middle, axes, np.array([0.038, 0.008, 0.075]), at.spacing, Material.GADGET, 8.0)]


def _bottle(at: Hold) -> list[Tube]:
    middle = at.grip(0.75) - 0.03 * UP
    return [_box(middle, at.s.pelvis_axes, np.array([0.035, 0.035, 0.11]), at.spacing, Material.GADGET, 2.0)]


def _trolley(at: Hold) -> list[Tube]:
    half, grip = np.array([0.17, 0.11, 0.27]) * at.thing.size, at.grip(1.0)
    middle = np.array([grip[0] + at.way * 0.08, grip[1] - 0.42, half[2] + 0.05])
    top = middle + half[2] * UP
    bar = np.stack([grip, (grip + top) / 2, top])
    return [
        _box(middle, np.eye(3), half, at.spacing, Material.BAG, 5.0),
        _rod(bar, 0.010, at.spacing, Material.GADGET),
    ]


MAKERS: dict[ThingKind, Callable[[Hold], list[Tube]]] = {
    "backpack": _backpack,
    "shoulder_bag": _shoulder_bag,
    "handbag": _handbag,
    "umbrella": _umbrella,
    "phone": _phone,
    "trolley": _trolley,
    "bottle": _bottle,
}
