"""The sun, sky, dusk and rain of a camera's place, and what they leave on the ground: a map of shadows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from passerby.synthetic.render.view import Floats
from passerby.synthetic.street.objects import Foot
from passerby.synthetic.street.rays import Light
from passerby.synthetic.street.surfaces import noise

CELL = 0.25
"""The size of a texel of the map, meters: shadows of trees and houses have soft edges anyway."""
ORIGIN = (-24.0, -4.0)
CELLS = (192, 192)
"""The rows (y) and columns (x) of the map."""


@dataclass(frozen=True)
class Weather:
    light: Light
    wet: float
    """The wetness: 0 dry … 1 after heavy rain."""
    haze: Floats
    """The radiance ``(3,)`` of the far distance and the sky."""
    lamp: Floats
    """The radiance ``(3,)`` of street lamps and lit windows, 0 by day."""


def _towards(rng: np.random.Generator, height: float) -> Floats:
    turn = rng.uniform(0, 2 * np.pi)
    level = np.sqrt(1 - height**2)
    return np.array([np.cos(turn) * level, np.sin(turn) * level, height], np.float32)


def make_weather(rng: np.random.Generator, strength: float) -> Weather:
    """Generate a day; ``strength`` 0 is always bright overcast, 1 has every kind of day, dusk and rain among them."""
    kind = rng.choice(["overcast", "sun", "haze", "dusk", "rain"], p=[0.4, 0.26, 0.16, 0.08, 0.10])
    towards = _towards(rng, rng.uniform(0.45, 0.9))
    sun, sky, shade, wet, lamp = 0.12, 0.88, 0.0, 0.0, 0.0
    tint, glow = np.array([0.99, 1.0, 1.02]), np.array([1.0, 0.97, 0.92])
    if kind == "sun":
        sun, sky, shade, tint = rng.uniform(0.55, 1.0), rng.uniform(0.42, 0.6), 1.0, np.array([0.93, 1.0, 1.1])
    elif kind == "haze":
        sun, sky, shade, glow = 0.35, 0.7, 0.55, np.array([1.0, 0.95, 0.86])
    elif kind == "dusk":
        sun, sky, tint, lamp = 0.02, rng.uniform(0.34, 0.5), np.array([0.86, 0.97, 1.2]), rng.uniform(0.3, 0.7)
    elif kind == "rain":
        sun, sky, wet, tint = 0.04, rng.uniform(0.55, 0.75), rng.uniform(0.5, 1.0), np.array([0.95, 1.0, 1.06])
    blend = float(np.clip(strength, 0, 1))
    sun, sky = 0.12 + (sun - 0.12) * blend, 0.88 + (sky - 0.88) * blend
    tint, shade = 1 + (tint - 1) * strength, shade * blend * rng.uniform(0.8, 1.0)
    sunny, ambient = np.asarray(sun * glow, np.float32), np.asarray(sky * tint, np.float32)
    warm = np.array([1.0, 0.72, 0.42], np.float32) * np.float32(lamp * blend)
    return Weather(Light(towards, sunny, ambient, float(shade)), wet * blend, ambient * np.float32(0.8), warm)


def _cells() -> tuple[Floats, Floats]:
    x = ORIGIN[0] + (np.arange(CELLS[1], dtype=np.float32) + 0.5) * CELL
    y = ORIGIN[1] + (np.arange(CELLS[0], dtype=np.float32) + 0.5) * CELL
    return x[None, :], y[:, None]


def _cast(foot: Foot, light: Light, density: float) -> Floats:
    """Return the share of the sun that gets past a thing: its footprint, stretched away from the sun."""
    x, y = _cells()
    reach = min(foot.height / max(float(light.towards[2]), 0.2), 30.0)
    free = np.ones(CELLS, np.float32)
    step = max(min(foot.length, foot.width) * 1.4, 0.6)
    for slide in np.linspace(0, reach, min(max(int(reach / step), 2), 12)):
        at = slide * light.towards[:2]
        inside = np.clip(0.5 - foot.distance(x + at[0], y + at[1]) / (0.3 + 0.05 * slide), 0, 1)
        free = np.minimum(free, 1 - density * inside)
    return free


def _trees(rng: np.random.Generator) -> Floats:
    """Generate shadows of crowns and houses that stand behind the camera or above the image."""
    x, y = _cells()
    free = np.ones(CELLS, np.float32)
    leaf = noise(int(rng.integers(5)) + 300, CELLS, 0.7, 0.2)
    for _ in range(int(rng.poisson(1.6))):
        center = rng.uniform((-9, 1), (9, 18))
        distance = np.hypot(x - center[0], y - center[1]) - rng.uniform(1.5, 4.0)
        crown = np.clip(0.5 - distance - 0.9 * leaf, 0, 1) * np.clip(0.75 - 0.35 * leaf, 0, 1)
        free = np.minimum(free, 1 - crown)
    if rng.random() < 0.4:  # a house: everything beyond a straight line
        turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-5, 4)
        side = np.cos(turn) * x + np.sin(turn) * (y - 9) + shift
        free = np.minimum(free, np.clip(0.5 + side / 0.5, 0, 1))
    return np.asarray(free, np.float32)


def ground_map(rng: np.random.Generator, feet: Iterable[tuple[Foot, float]], light: Light) -> Floats:
    """Return the share of the sun, of the sky and of street lamps that reaches the ground: ``(192, 192, 3)``.

    ``feet`` are what stands there, each with how little light it lets through.
    """
    x, y = _cells()
    sun, sky = _trees(rng), np.ones(CELLS, np.float32)
    for foot, density in feet:
        if light.shade > 0.05:
            sun = np.minimum(sun, _cast(foot, light, density))
        near = np.maximum(foot.distance(x, y), -0.1)
        sky *= 1 - 0.55 * density * np.exp(-np.maximum(near, 0) / (0.12 + 0.16 * min(foot.height, 2.5)))
    lamps = rng.uniform((-7, 3), (7, 16), (2, 2))
    warm = sum(1 / (1 + ((x - at[0]) ** 2 + (y - at[1]) ** 2) / 6.0) for at in lamps)
    return np.stack([1 - light.shade * (1 - sun), sky, warm * sky], axis=2).astype(np.float32)


def look_up(table: Floats, x: Floats, y: Floats) -> Floats:
    """Interpolate ``(..., c)`` between the four nearest texels of a map; beyond its rim, take the rim's."""
    column = np.clip((x - np.float32(ORIGIN[0])) / np.float32(CELL) - np.float32(0.5), 0, CELLS[1] - 1.001)
    row = np.clip((y - np.float32(ORIGIN[1])) / np.float32(CELL) - np.float32(0.5), 0, CELLS[0] - 1.001)
    left, low = column.astype(np.int32), row.astype(np.int32)
    across, along = (column - left)[..., None], (row - low)[..., None]
    flat = table.reshape(-1, table.shape[2])
    at = low * CELLS[1] + left
    first = flat.take(at, axis=0) * (1 - across) + flat.take(at + 1, axis=0) * across
    second = flat.take(at + CELLS[1], axis=0) * (1 - across) + flat.take(at + CELLS[1] + 1, axis=0) * across
    return np.asarray(first + (second - first) * along, np.float32)
