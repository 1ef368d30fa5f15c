"""The occluders between the camera and a person: each hides a part of her, never all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from passerby.synthetic.render.view import Floats, View
from passerby.synthetic.street import clutter, facades
from passerby.synthetic.street.layout import UP, car
from passerby.synthetic.street.objects import Box, Dome, Panel, Post, Solid, hull, windows
from passerby.synthetic.street.rays import Light, grid
from passerby.synthetic.street.surfaces import linear

TALL = 1.7
"""The height of a usual person, meters."""
WIDE = 0.45
LEAST, MOST = 0.1, 0.45
"""The least and the largest share of the person that may be hidden."""
_DARK = Light(UP, np.zeros(3, np.float32), np.zeros(3, np.float32), 0.0)


def _frame(position: Floats, eye: Floats, share: float) -> tuple[Floats, Floats, Floats]:
    """Return a ground point at ``share`` of the way to the eye, and unit vectors to the right and away from the eye."""
    away = np.array([position[0] - eye[0], position[1] - eye[1], 0], np.float32)
    away /= np.linalg.norm(away)
    right = np.array([away[1], -away[0], 0], np.float32)
    point = position + (eye - position) * np.float32(share)
    return np.array([point[0], point[1], 0], np.float32), right, away


def _seen_height(hidden: float, eye: Floats, share: float) -> float:
    """Return the height of a thing at ``share`` of the way that covers the lower ``hidden`` meters of a person."""
    return float(hidden + (eye[2] - hidden) * share)


def _tone(rng: np.random.Generator, low: float, high: float) -> Floats:
    return linear(np.clip(rng.uniform(low, high) + rng.normal(0, 0.018, 3), 0.05, 0.95))


def _pole(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate a pole: a narrow upright strip."""
    share = rng.uniform(0.1, 0.45)
    point, right, _ = _frame(position, eye, share)
    radius = rng.uniform(0.035, 0.09) * (1 - share)
    bands = linear((0.72, 0.70, 0.66)) if rng.random() < 0.15 else None
    return (Post(point + right * np.float32(rng.uniform(-0.3, 0.3)), radius, 6.0, _tone(rng, 0.2, 0.7), bands),)


def _barrier(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate a low wall or hedge across the legs."""
    share = rng.uniform(0.06, 0.2)
    point, right, away = _frame(position, eye, share)
    height = _seen_height(TALL * rng.uniform(0.12, 0.4), eye, share)
    turn = float(np.arctan2(right[1], right[0])) + rng.normal(0, 0.12)
    hedge = rng.random() < 0.5
    skin = clutter.leaves(int(rng.integers(10)), ragged=False) if hedge else facades.wall(int(rng.integers(8)))
    size = np.array([9.0, 0.3, height], np.float32)
    return (
        Box(point - away * np.float32(0.15), size, turn, skin, np.full(3, rng.uniform(0.85, 1.2), np.float32), 1.1),
    )


def _car(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate a parked car that hides the legs, or less where only its end does."""
    share = rng.uniform(0.2, 0.35)
    point, right, _ = _frame(position, eye, share)
    turn = float(np.arctan2(right[1], right[0])) + rng.normal(0, 0.15)
    along = right * np.float32(rng.choice([-1, 1]) * rng.uniform(1.2, 2.1))
    return car(point + along, turn, int(rng.integers(3) * 3), flip=bool(rng.random() < 0.5))


def _rack(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate bicycles or a railing before the legs."""
    share = rng.uniform(0.08, 0.2)
    point, right, _ = _frame(position, eye, share)
    skin = clutter.parked(int(rng.integers(12))) if rng.random() < 0.6 else clutter.railing(int(rng.integers(6)))
    corner = point - right * np.float32(rng.uniform(1.0, 4.0))
    return (Panel(corner, right, UP, 6.0, 1.55, skin, shift=rng.uniform(0, 12), soft=True),)


def _bin(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate a bin or cabinet before one leg."""
    share = rng.uniform(0.08, 0.25)
    point, right, _ = _frame(position, eye, share)
    height = _seen_height(TALL * rng.uniform(0.2, 0.45), eye, share)
    side = np.float32(rng.choice([-1, 1]) * rng.uniform(0.1, 0.35))
    return (Post(point + right * side, rng.uniform(0.18, 0.28), height, _tone(rng, 0.15, 0.5)),)


def _umbrella(rng: np.random.Generator, position: Floats, eye: Floats) -> tuple[Solid, ...]:
    """Generate an open umbrella over one shoulder, held by a person nearer to the camera."""
    share = rng.uniform(0.12, 0.3)
    point, right, _ = _frame(position, eye, share)
    side = np.float32(rng.choice([-1, 1]) * rng.uniform(0.1, 0.4))
    height = _seen_height(TALL * rng.uniform(0.5, 0.9), eye, share)
    center = point + right * side + np.array([0, 0, height - 0.15], np.float32)
    color = linear(np.clip(rng.uniform(0.12, 0.55) + rng.normal(0, 0.09, 3), 0.06, 0.8))
    second = color * np.float32(rng.choice([0.9, 1.15]))
    shaft = Post(point + right * side, 0.012, height - 0.2, linear((0.3, 0.3, 0.3)))
    return (Dome(center, np.array([0.5, 0.5, 0.34], np.float32), color, second, 0.1), shaft)


def hidden(solids: tuple[Solid, ...], position: Floats, eye: Floats) -> float:
    """Return the share of an upright rectangle of a person's size on ``position`` that is hidden from ``eye``."""
    offset = position - eye
    distance = float(np.hypot(offset[0], offset[1]))
    away = np.array([offset[0], offset[1], 0], np.float32) / np.float32(distance)
    axes = np.stack([np.array([away[1], -away[0], 0], np.float32), -UP, away])
    low, high = float(eye[2]) / distance, (float(eye[2]) - TALL) / distance
    size = (34, 10)
    view = View(eye, axes, (-WIDE / 2 / distance, high, WIDE / 2 / distance, low))
    covered = np.zeros(size, np.bool_)
    for solid, part in zip(solids, windows(np.stack([hull(one) for one in solids]), view, size), strict=True):
        if part is not None:
            paint = solid.paint(grid(view, size).cut(*part), _DARK)
            covered[part] |= (paint.depth < distance) & (True if paint.alpha is None else paint.alpha > 0.5)
    return float(covered.mean())


def occluder(
    rng: np.random.Generator, position: Floats, eye: Floats, clear: Callable[[float, float], bool]
) -> tuple[Solid, ...]:
    """Generate a thing between ``eye`` and the person on ``position``, both ``(3,)``: for ``Scene.backdrop``.

    Drawn again until it hides what it should, and where the scene has room for it.
    """
    position, eye = np.asarray(position, np.float32), np.asarray(eye, np.float32)
    kinds = (_pole, _barrier, _car, _rack, _bin, _umbrella)
    for _ in range(20):
        chosen = kinds[int(rng.choice(len(kinds), p=[0.26, 0.2, 0.1, 0.2, 0.12, 0.12]))]
        solids = chosen(rng, position, eye)
        x, y = solids[0].foot().center
        if LEAST <= hidden(solids, position, eye) <= MOST and clear(float(x), float(y)):
            return solids
    point, _, _ = _frame(position, eye, 0.2)
    return (Post(point, 0.045, 6.0, _tone(rng, 0.2, 0.7)),)
