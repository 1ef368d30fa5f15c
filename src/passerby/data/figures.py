"""Drawn people: a miniature data set for the demo and the tests, made without anyone's picture.

A person is a look (hair, skin, clothes, bag, height), a camera is a view (background, brightness,
colour cast, blur), a shot adds pose and jitter; image = f(seed, person, camera, shot), bit for bit.
The files are laid out as Market-1501's, so they are read by the same reader as the real thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from passerby.errors import OutputError

T = TypeVar("T")
Colour = tuple[int, int, int]

SKINS: tuple[Colour, ...] = ((250, 220, 195), (225, 180, 145), (180, 130, 95), (125, 85, 60), (80, 55, 40))
HAIRS: tuple[Colour, ...] = ((30, 25, 25), (85, 55, 35), (150, 100, 50), (220, 190, 120), (150, 150, 155))
CLOTHES: tuple[Colour, ...] = (
    (205, 40, 45), (235, 130, 35), (240, 210, 60), (55, 150, 70), (40, 175, 170), (45, 90, 190),
    (125, 60, 165), (235, 130, 175), (240, 240, 235), (130, 130, 135), (35, 35, 40), (120, 80, 50),
)  # fmt: skip
PATTERNS = ("plain", "stripes", "columns", "block")
BAGS = ("none", "backpack", "handbag")
LEGS = ("trousers", "shorts", "skirt")
SCALE = 3
"""Pictures are drawn this much larger, then shrunk: smooth edges."""


@dataclass(frozen=True, slots=True)
class Look:
    """What stays the same of a person from camera to camera."""

    skin: Colour
    hair: Colour
    long_hair: bool
    upper: Colour
    trim: Colour
    pattern: str
    lower: Colour
    legs: str
    bag: str
    bag_colour: Colour
    height: float
    """Share of the picture's height."""


@dataclass(frozen=True, slots=True)
class View:
    """What a camera does to everyone it sees."""

    ground: Colour
    wall: Colour
    horizon: float
    cast: tuple[float, float, float]
    brightness: float
    blur: float


def _pick(rng: np.random.Generator, options: tuple[T, ...]) -> T:
    return options[int(rng.integers(len(options)))]


def look(seed: int, person: int) -> Look:
    """The look of one person."""
    rng = np.random.default_rng([seed, 1, person])
    return Look(
        skin=_pick(rng, SKINS),
        hair=_pick(rng, HAIRS),
        long_hair=bool(rng.integers(2)),
        upper=_pick(rng, CLOTHES),
        trim=_pick(rng, CLOTHES),
        pattern=_pick(rng, PATTERNS),
        lower=_pick(rng, CLOTHES),
        legs=_pick(rng, LEGS),
        bag=_pick(rng, BAGS),
        bag_colour=_pick(rng, CLOTHES),
        height=float(rng.uniform(0.78, 0.94)),
    )


def view(seed: int, camera: int) -> View:
    """The view of one camera."""
    rng = np.random.default_rng([seed, 2, camera])
    grey, wall = int(rng.integers(70, 170)), int(rng.integers(90, 220))
    red, green, blue = (float(c) for c in rng.uniform(0.85, 1.15, 3))
    return View(
        ground=(grey, grey, grey - 10),
        wall=(wall, wall - int(rng.integers(20)), wall - int(rng.integers(40))),
        horizon=float(rng.uniform(0.35, 0.65)),
        cast=(red, green, blue),
        brightness=float(rng.uniform(0.75, 1.2)),
        blur=float(rng.uniform(0.2, 0.8)),
    )


def draw_figure(*, seed: int, person: int, camera: int, shot: int, size: tuple[int, int] = (128, 64)) -> Image.Image:
    """One picture of ``size = (height, width)``: an RGB Pillow image."""
    rng = np.random.default_rng([seed, 3, person, camera, shot])
    height, width = size
    seen = view(seed, camera)
    canvas = Image.new("RGB", (width * SCALE, height * SCALE), seen.wall)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, seen.horizon * canvas.height, canvas.width, canvas.height), fill=seen.ground)
    _draw_person(draw, look(seed, person), rng, canvas.height, canvas.width)
    small = canvas.resize((width, height), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(seen.blur))
    light = seen.brightness * rng.uniform(0.92, 1.08) * np.asarray(seen.cast)
    pixels = np.asarray(small, dtype=np.float64) * light + rng.normal(0, 4, (height, width, 3))
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _draw_person(draw: ImageDraw.ImageDraw, who: Look, rng: np.random.Generator, height: int, width: int) -> None:
    """From behind to front: back bag, legs, arms, body, head."""
    tall = who.height * height * rng.uniform(0.96, 1.02)
    x = width * rng.uniform(0.45, 0.55)
    top = (height - tall) * rng.uniform(0.4, 0.6)
    unit = tall / 8  # a figure is eight heads tall
    stride, swing, side = rng.uniform(0.1, 0.8) * unit, rng.uniform(-0.5, 0.5) * unit, 1 if rng.random() < 0.5 else -1
    neck, hip, feet = top + 1.1 * unit, top + 4.1 * unit, top + tall
    if who.bag == "backpack":
        _box(draw, x + side * 0.8 * unit, neck + 0.4 * unit, 0.7 * unit, 2 * unit, who.bag_colour)
    _draw_legs(draw, who, x, hip, feet, stride, unit)
    for way in (-1, 1):
        hand = (x + way * (1.15 * unit) + swing * way, hip)
        draw.line((x + way * 0.85 * unit, neck + 0.4 * unit, *hand), fill=who.upper, width=round(0.5 * unit))
        draw.ellipse((hand[0] - 0.3 * unit, hip - 0.3 * unit, hand[0] + 0.3 * unit, hip + 0.3 * unit), fill=who.skin)
        if who.bag == "handbag" and way == side:
            _box(draw, hand[0], hip, 0.55 * unit, 0.9 * unit, who.bag_colour)
    _draw_upper(draw, who, x, neck, hip, unit)
    _draw_head(draw, who, x, top, unit)


def _box(draw: ImageDraw.ImageDraw, x: float, y: float, half: float, tall: float, colour: Colour) -> None:
    draw.rectangle((x - half, y, x + half, y + tall), fill=colour)


def _draw_legs(
    draw: ImageDraw.ImageDraw, who: Look, x: float, hip: float, feet: float, stride: float, unit: float
) -> None:
    covered = {"trousers": 1.0, "shorts": 0.45, "skirt": 0.5}[who.legs]
    for way in (-1, 1):
        start, end = (x + way * 0.4 * unit, hip), (x + way * (0.4 * unit + stride), feet)
        knee = tuple(a + covered * (b - a) for a, b in zip(start, end, strict=True))
        draw.line((*start, *end), fill=who.skin, width=round(0.6 * unit))
        draw.line((*start, *knee), fill=who.lower, width=round(0.8 * unit))
        _box(draw, end[0], feet - 0.3 * unit, 0.4 * unit, 0.3 * unit, (25, 25, 25))
    if who.legs == "skirt":
        hem = hip + covered * (feet - hip)
        corners = [(x - 0.8 * unit, hip), (x + 0.8 * unit, hip), (x + 1.3 * unit, hem), (x - 1.3 * unit, hem)]
        draw.polygon(corners, fill=who.lower)


def _draw_upper(draw: ImageDraw.ImageDraw, who: Look, x: float, neck: float, hip: float, unit: float) -> None:
    half = 0.95 * unit
    draw.rounded_rectangle((x - half, neck, x + half, hip + 0.2 * unit), radius=0.3 * unit, fill=who.upper)
    if who.pattern == "stripes":
        for i in range(4):
            _box(draw, x, neck + (0.3 + 0.75 * i) * unit, half, 0.3 * unit, who.trim)
    elif who.pattern == "columns":
        for i in (-1, 0, 1):
            _box(draw, x + 0.6 * i * unit, neck, 0.14 * unit, hip - neck, who.trim)
    elif who.pattern == "block":
        _box(draw, x, neck + 1.6 * unit, half, hip + 0.2 * unit - neck - 1.6 * unit, who.trim)


def _draw_head(draw: ImageDraw.ImageDraw, who: Look, x: float, top: float, unit: float) -> None:
    back = 1.6 if who.long_hair else 0.7
    draw.rounded_rectangle((x - 0.52 * unit, top, x + 0.52 * unit, top + back * unit), radius=0.4 * unit, fill=who.hair)
    draw.ellipse((x - 0.4 * unit, top + 0.25 * unit, x + 0.4 * unit, top + 1.2 * unit), fill=who.skin)


def write_figures(
    out: str | Path,
    *,
    people: int = 48,
    cameras: int = 3,
    images: int = 4,
    size: tuple[int, int] = (128, 64),
    seed: int = 0,
) -> Path:
    """Draw ``people × cameras × images`` pictures into the new folder ``out``, laid out as Market-1501.

    The first half of the people is the training split; of the others each camera's first picture is a
    query and the rest is the gallery.

    Raises:
        OutputError: if the folder exists or cannot be written.
    """
    root = Path(out)
    try:
        root.mkdir(parents=True)
        for folder in ("bounding_box_train", "query", "bounding_box_test"):
            (root / folder).mkdir()
        for person, camera, shot in product(range(people), range(cameras), range(images)):
            name = f"{person + 1:04d}_c{camera + 1}s1_{shot + 1:06d}_00.jpg"
            picture = draw_figure(seed=seed, person=person, camera=camera, shot=shot, size=size)
            picture.save(root / _folder(person, shot, people) / name, quality=92)
    except OSError as error:
        raise OutputError(f"cannot write figures to {root}: {error.strerror or error}") from None
    return root


def _folder(person: int, shot: int, people: int) -> str:
    if person < people // 2:
        return "bounding_box_train"
    return "query" if shot == 0 else "bounding_box_test"
