"""The drawings with holes of things in streets: parked bicycles, railings, cars seen from the side, leaves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import stream
from passerby.synthetic.street.surfaces import Texture, linear, noise, texture

RGB = tuple[float, float, float]
_PAINTS: tuple[RGB, ...] = (
    (0.11, 0.11, 0.12),
    (0.17, 0.17, 0.18),
    (0.24, 0.24, 0.25),
    (0.58, 0.59, 0.60),
    (0.72, 0.72, 0.72),
    (0.48, 0.49, 0.50),
    (0.36, 0.19, 0.18),
    (0.20, 0.24, 0.33),
    (0.22, 0.27, 0.24),
    (0.52, 0.40, 0.42),
)


class Canvas:
    """A sheet of meters, y up, on which thick lines and ellipses are drawn over each other."""

    def __init__(self, width: int, height: int, scale: float) -> None:
        """Make an empty sheet of ``width`` × ``height`` texels, powers of two, ``scale`` texels to a meter."""
        self.image = np.zeros((height, width, 4), np.float32)
        self.scale = scale

    def _blend(self, box: tuple[float, float, float, float], color: RGB, strength: float, shape: object) -> None:
        height, width = self.image.shape[:2]
        left, right = max(int(box[0] * self.scale) - 2, 0), min(int(box[2] * self.scale) + 3, width)
        low, high = max(int(box[1] * self.scale) - 2, 0), min(int(box[3] * self.scale) + 3, height)
        if left >= right or low >= high:
            return
        x = (np.arange(left, right, dtype=np.float32)[None, :] + 0.5) / self.scale
        y = (np.arange(low, high, dtype=np.float32)[:, None] + 0.5) / self.scale
        distance = shape(x, y)  # type: ignore[operator]
        cover = np.clip(0.5 - distance * self.scale, 0, 1)[..., None] * np.float32(strength)
        part = self.image[low:high, left:right]
        alpha = part[..., 3:] + cover - part[..., 3:] * cover
        under = part[..., :3] * part[..., 3:] * (1 - cover) + linear(color) * cover
        part[..., :3] = under / np.maximum(alpha, 1e-6)
        part[..., 3:] = alpha

    def line(self, start: tuple[float, float], end: tuple[float, float], thick: float, color: RGB) -> None:
        """Draw a stroke with round ends."""
        (ax, ay), (bx, by) = start, end
        length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)

        def distance(x: Floats, y: Floats) -> Floats:
            share = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
            return np.asarray(np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay)) - thick / 2)

        box = (min(ax, bx) - thick, min(ay, by) - thick, max(ax, bx) + thick, max(ay, by) + thick)
        self._blend(box, color, 1.0, distance)

    def disc(
        self,
        center: tuple[float, float],
        radii: tuple[float, float],
        color: RGB,
        *,
        ring: float = 0.0,
        strength: float = 1.0,
    ) -> None:
        """Draw an ellipse; ``ring`` meters of its rim only, where that is not 0."""

        def distance(x: Floats, y: Floats) -> Floats:
            radius = np.hypot((x - center[0]) / radii[0], (y - center[1]) / radii[1])
            inside = (radius - 1) * min(radii)
            return np.asarray(inside if not ring else np.abs(inside) - ring / 2)

        reach = ring
        box = (
            center[0] - radii[0] - reach,
            center[1] - radii[1] - reach,
            center[0] + radii[0] + reach,
            center[1] + radii[1] + reach,
        )
        self._blend(box, color, strength, distance)

    def texture(self, grime: int | None = None) -> Texture:
        """Return a texture with row 0 at the top; ``grime`` seeds dust, dents and glints."""
        if grime is not None:
            height, width = self.image.shape[:2]
            uneven = noise(grime, (height, width), 0.4, 0.2)
            darker = np.linspace(0.62, 1.1, height, dtype=np.float32)[:, None]
            self.image[..., :3] *= (np.exp(0.38 * uneven) * darker)[..., None]
        return texture(np.clip(self.image[::-1], 0, 1), self.scale)


def _bicycle(canvas: Canvas, rng: np.random.Generator, at: float, squeeze: float) -> None:
    """Draw a bicycle from the side, narrowed as if it stood obliquely; ``at`` is its rear wheel's place."""
    frame = _PAINTS[rng.integers(len(_PAINTS))]
    dark, steel = (0.10, 0.10, 0.11), (0.60, 0.60, 0.60)
    size = rng.uniform(0.92, 1.06)

    def place(x: float, y: float) -> tuple[float, float]:
        return at + x * squeeze * size, y * size

    radius = 0.32 * size
    for hub in (0.0, 1.05):
        canvas.disc(place(hub, 0.34), (radius * max(squeeze, 0.12), radius), (0.40, 0.40, 0.40), strength=0.2)
        canvas.disc(place(hub, 0.34), (radius * max(squeeze, 0.12), radius), dark, ring=0.032)
        canvas.disc(place(hub, 0.34), (radius * 0.92 * max(squeeze, 0.12), radius * 0.92), steel, ring=0.012)
        canvas.line(place(hub - 0.28, 0.62), place(hub + 0.28, 0.62), 0.03, steel if rng.random() < 0.4 else dark)
    bars = ((0.0, 0.34, 0.42, 0.32), (0.42, 0.32, 0.28, 0.82), (0.0, 0.34, 0.34, 0.62), (0.34, 0.62, 0.88, 0.72))
    for x0, y0, x1, y1 in (*bars, (0.42, 0.32, 0.88, 0.66), (1.05, 0.34, 0.86, 0.98)):
        canvas.line(place(x0, y0), place(x1, y1), 0.03, frame)
    canvas.line(place(0.16, 0.86), place(0.40, 0.87), 0.07, dark)
    canvas.line(place(0.80, 1.02), place(0.98, 0.98), 0.03, steel)
    canvas.disc(place(0.42, 0.30), (0.09 * squeeze + 0.02, 0.09), dark)
    if rng.random() < 0.55:
        canvas.line(place(0.98, 0.80), place(1.22, 0.80), 0.2, (0.33, 0.33, 0.33) if rng.random() < 0.7 else steel)


def _scooter(canvas: Canvas, rng: np.random.Generator, at: float, squeeze: float) -> None:
    """Draw a moped from the side."""
    body = _PAINTS[rng.integers(len(_PAINTS))]
    dark = (0.09, 0.09, 0.10)

    def place(x: float, y: float) -> tuple[float, float]:
        return at + x * squeeze, y

    for hub in (0.1, 1.2):
        canvas.disc(place(hub, 0.24), (0.23 * max(squeeze, 0.2), 0.23), dark)
        canvas.disc(place(hub, 0.24), (0.1 * max(squeeze, 0.2), 0.1), (0.5, 0.5, 0.5))
    canvas.disc(place(0.25, 0.55), (0.42 * squeeze, 0.19), body)
    canvas.line(place(0.4, 0.30), place(0.95, 0.30), 0.13, body)
    canvas.line(place(1.02, 0.32), place(0.90, 0.95), 0.15, body)
    canvas.line(place(0.0, 0.76), place(0.55, 0.74), 0.10, dark)
    canvas.line(place(0.80, 1.02), place(0.98, 1.00), 0.05, dark)
    canvas.disc(place(0.95, 0.86), (0.06, 0.06), (0.8, 0.8, 0.75))


@lru_cache(maxsize=12)
def parked(variant: int) -> Texture:
    """Draw 12.8 m of bicycles or mopeds, about 1.1 m high, on a sheet of 1.6 m."""
    rng = stream(variant, "parked")
    canvas = Canvas(1024, 128, 80.0)
    oblique = rng.uniform(0.25, 0.95)
    vehicle = _scooter if variant % 6 == 5 else _bicycle
    at = 0.0
    while at < 12.6:
        vehicle(canvas, rng, at, float(np.clip(oblique + rng.normal(0, 0.08), 0.2, 1)))
        at += rng.uniform(0.3, 0.75) * (1.0 if rng.random() < 0.92 else 3.0)
    return canvas.texture(variant % 4 + 400)


@lru_cache(maxsize=6)
def railing(variant: int) -> Texture:
    """Draw upright bars or a mesh between rails, repeating each 3.2 m, on a sheet of 1.6 m."""
    rng = stream(variant, "railing")
    canvas = Canvas(256, 128, 80.0)
    color = ((0.68, 0.68, 0.68), (0.25, 0.26, 0.27), (0.32, 0.36, 0.34), (0.58, 0.56, 0.52))[variant % 4]
    height = rng.uniform(0.95, 1.35)
    for x in np.arange(0.0, 3.2, 3.2 / rng.integers(14, 30)):
        canvas.line((x, 0.12), (x, height), 0.025, color)
    for y in (0.12, height - 0.12, height):
        canvas.line((-0.1, y), (3.3, y), 0.045, color)
    for x in (0.0, 1.6, 3.2):
        canvas.line((x, 0.0), (x, height + 0.08), 0.08, color)
    return canvas.texture()


_CARS: tuple[RGB, ...] = (
    (0.62, 0.63, 0.64),
    (0.12, 0.12, 0.13),
    (0.80, 0.80, 0.79),
    (0.36, 0.38, 0.42),
    (0.40, 0.16, 0.16),
)


def car_paint(variant: int) -> Floats:
    """Return the linear color ``(3,)`` of a car."""
    return linear(_CARS[variant % 5])


def car_height(variant: int) -> float:
    """Return the meters from the ground to the roof."""
    return 1.46 + (0.0, 0.12, 0.4)[variant % 3]


def _outline(x: Floats, variant: int) -> tuple[Floats, Floats]:
    """Return the height of a car's roof line and of its window sill over its length of 4.4 m."""
    tall = car_height(variant) - 1.46
    knots = [(0.0, 0.55), (0.08, 0.82), (0.75, 0.92), (1.35, 1.40 + tall), (2.9, 1.46 + tall), (3.85, 1.0), (4.32, 0.9)]
    roof = np.interp(x, [k[0] for k in knots] + [4.4], [k[1] for k in knots] + [0.5])
    return np.asarray(roof, np.float32), np.asarray(0.93 + 0.02 * x, np.float32)


@lru_cache(maxsize=9)
def car(variant: int) -> Texture:
    """Draw the side of a car of 4.4 m on a sheet of 6.4 × 3.2 m."""
    canvas = Canvas(512, 256, 80.0)
    x = (np.arange(512, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(80)
    y = (np.arange(256, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(80)
    roof, sill = _outline(x, variant)
    body = (x < 4.4) & (y < roof) & (y > 0.22 + 0.1 * (np.abs(x - 2.2) > 1.95))
    glass = (y > sill) & (y < roof - 0.09) & (x > 0.95) & (x < 3.75) & (np.abs(x - 2.25) > 0.05)
    shine = 0.75 + 0.3 * np.clip((y - 0.3) / 0.6, 0, 1) + 0.12 * np.clip(1 - np.abs(y - 0.84) / 0.05, 0, 1)
    shine = shine - 0.25 * ((np.abs(y - 0.45) < 0.012) | ((np.abs(np.abs(x - 2.3) - 0.75) < 0.01) & (y < sill)))
    canvas.image[..., :3] = car_paint(variant) * shine[..., None]
    canvas.image[glass, :3] = linear((0.16, 0.18, 0.20))
    canvas.image[..., 3] = body
    for hub in (0.82, 3.5):
        canvas.disc((hub, 0.32), (0.37, 0.37), (0.07, 0.07, 0.07))
        canvas.disc((hub, 0.32), (0.20, 0.20), (0.48, 0.48, 0.49))
        canvas.disc((hub, 0.32), (0.06, 0.06), (0.2, 0.2, 0.2))
    canvas.disc((4.22, 0.72), (0.1, 0.06), (0.85, 0.83, 0.75))
    canvas.disc((0.1, 0.78), (0.07, 0.09), (0.5, 0.12, 0.1))
    return canvas.texture(variant % 3 + 410)


@lru_cache(maxsize=10)
def leaves(variant: int, *, ragged: bool) -> Texture:
    """Generate foliage on a tile of 6.4 m, dark and muted; ``ragged`` has holes."""
    rng = stream(variant, "leaves")
    clumps = noise(variant + 100, (256, 256), 0.9, 0.35)
    small = noise(variant + 120, (256, 256), 0.25)
    bright = np.clip(0.42 + 0.22 * clumps + 0.16 * small, 0, 1)[..., None]
    dark, light = np.array([0.08, 0.095, 0.075]), np.array([0.37, 0.40, 0.27])
    light = light * rng.uniform(0.75, 1.05) + rng.normal(0, 0.012, 3)
    color = dark + (light - dark) * bright
    holes = np.clip(3.0 * (noise(variant + 140, (256, 256), 0.8, 0.4) + 0.3 * small + 0.9), 0, 1)
    image = np.concatenate([linear(color), holes[..., None].astype(np.float32)], axis=2)
    return texture(image if ragged else image[..., :3], 40.0)
