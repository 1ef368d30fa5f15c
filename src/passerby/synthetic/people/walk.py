"""The position, direction and stance of a person in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.synthetic.mannequin.gait import Array, Floats, Stance
from passerby.synthetic.render.camera import Camera
from passerby.synthetic.settings import Settings, stream
from passerby.synthetic.street.scene import Scene

STAND_STILL = 0.15
"""The share of the people who stand before a camera instead of walking past."""
TURN = 0.25
"""The probability that a person has changed her direction by the next image."""


@dataclass(frozen=True)
class Walk:
    """The moment of one image on a way past a camera."""

    position: tuple[float, float]
    """The position in meters on the ground."""
    heading: float
    """The heading in radians, as :class:`~passerby.data.keypoints.skeleton.Labels` counts them."""
    stance: Stance
    fold: float
    """The phase of the clothes' folds, 0…1."""


def walk(settings: Settings, pid: int, camid: int, number: int, camera: Camera, scene: Scene) -> Walk:
    """Place a person on her straight way through a camera's field; some people turn on it."""
    way = stream(settings.seed, "way", pid, camid)
    rng = stream(settings.seed, "step", pid, camid, number)
    free = min(settings.difficulty.viewpoint, 1.0)
    heading, start = _heading(way, free), _free_spot(way, camera, scene)
    standing = way.random() < STAND_STILL
    if rng.random() < TURN * free:
        heading, start = _heading(rng, free), _free_spot(rng, camera, scene)
    across, along = rng.normal(0, 0.9, 2)
    spot = (start[0] + float(across), max(start[1] + float(along), camera.distances[0]))
    return Walk(
        position=spot if scene.clear(*spot) else start,
        heading=heading + float(rng.normal(0, 0.16)),
        stance=_stance(rng, standing=standing),
        fold=float(rng.random()),
    )


def _stance(rng: np.random.Generator, *, standing: bool) -> Stance:
    pace = np.clip(rng.normal(0.12, 0.1), 0, 0.4) if standing else np.clip(rng.normal(0.85, 0.15), 0.4, 1.1)
    return Stance(
        phase=float(rng.random()),
        walking=float(pace),
        head_yaw=float(rng.normal(0, 0.28)),
        head_pitch=float(np.clip(rng.normal(0.06, 0.14), -0.2, 0.5)),
        sway=float(rng.uniform(-1, 1)) * (1.0 if standing else 0.2),
    )


def any_stance(rng: np.random.Generator) -> Stance:
    """Generate the stance of a passer-by."""
    return _stance(rng, standing=bool(rng.random() < STAND_STILL))


def facing(position: Array, eye: Array | Floats, heading: float) -> Array:
    """Return the axes right, front, up ``(3, 3)`` of a person who is turned ``heading`` from facing the camera."""
    towards = (eye - position)[:2]
    angle = np.arctan2(towards[1], towards[0]) - heading
    front = np.array([np.cos(angle), np.sin(angle), 0.0])
    return np.stack([np.array([front[1], -front[0], 0.0]), front, np.array([0.0, 0.0, 1.0])])


def _heading(rng: np.random.Generator, free: float) -> float:
    """Generate a heading: mostly towards the camera or away from it, often across."""
    main = float(rng.choice([0.0, np.pi, np.pi / 2, -np.pi / 2], p=[0.32, 0.32, 0.18, 0.18]))
    return (main + float(rng.normal(0, 0.35))) * free


def _free_spot(rng: np.random.Generator, camera: Camera, scene: Scene) -> tuple[float, float]:
    """Find a place where nothing else stands; after twenty tries take the middle of the way."""
    for _ in range(20):
        x, y = float(rng.uniform(*camera.lateral)), float(rng.uniform(*camera.distances))
        if scene.clear(x, y):
            return x, y
    return 0.0, sum(camera.distances) / 2
