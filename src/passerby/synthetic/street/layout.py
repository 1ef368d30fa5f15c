"""The layout of a street: rows of bicycles, hedges, cars and walls along one to three lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from passerby.synthetic.render.view import Floats
from passerby.synthetic.street import clutter, facades, paving
from passerby.synthetic.street.objects import Box, Panel, Post, Solid
from passerby.synthetic.street.surfaces import Texture, linear

UP = np.array([0, 0, 1], np.float32)


@dataclass(frozen=True, eq=False)
class Stripe:
    """A band of other ground between two parallel lines: a road, a lawn, a painted line."""

    normal: Floats
    """The unit vector ``(2,)`` across the band."""
    start: float
    end: float
    """The meters along the normal from the world's origin."""
    skin: Texture | None
    color: Floats
    """The linear color ``(3,)`` that multiplies the texture."""
    dash: float = 0.0
    """The period of a broken line, meters; 0 is unbroken."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line across the ground along which things are set up, with its far side."""

    origin: Floats
    """The origin ``(2,)``."""
    along: Floats
    """The unit vector ``(2,)`` along the line, towards the right as the camera sees it."""

    @property
    def away(self) -> Floats:
        """The normal ``(2,)``, away from where people walk."""
        return np.array([-self.along[1], self.along[0]], np.float32)

    def at(self, along: float, away: float, height: float = 0.0) -> Floats:
        point = self.origin + self.along * np.float32(along) + self.away * np.float32(away)
        return np.array([point[0], point[1], height], np.float32)

    @property
    def yaw(self) -> float:
        return float(np.arctan2(self.along[1], self.along[0]))


@dataclass
class Layout:
    """A collection of what a scene is made of."""

    rng: np.random.Generator
    strength: float
    """The strength of the clutter."""
    solids: list[tuple[Solid, float]] = field(default_factory=list)
    """The solids, each with the share of light that it blocks."""
    stripes: list[Stripe] = field(default_factory=list)

    def add(self, solid: Solid, density: float = 1.0) -> None:
        self.solids.append((solid, density))

    def stripe(self, line: Line, start: float, end: float, skin: Texture | None, color: Floats) -> None:
        shift = float(line.away @ line.origin)
        self.stripes.append(Stripe(line.away, shift + start, shift + end, skin, color))


def _gray(rng: np.random.Generator, low: float = 0.3, high: float = 0.7) -> Floats:
    return linear(np.clip(rng.uniform(low, high) + rng.normal(0, 0.012, 3), 0.05, 0.95))


def _panel(line: Line, left: float, away: float, size: tuple[float, float], skin: Texture, **how: object) -> Panel:
    along = np.array([line.along[0], line.along[1], 0], np.float32)
    return Panel(line.at(left, away), along, UP, size[0], size[1], skin, **how)  # type: ignore[arg-type]


def _bicycles(layout: Layout, line: Line, reach: float) -> float:
    """Set up two or three rows of bicycles one behind the other; return the depth of the row."""
    rng, rows = layout.rng, 1 + int(layout.rng.integers(1, 3) * min(layout.strength, 1.0) + 0.5)
    start = -reach * rng.uniform(0.4, 1.0)
    for row in range(rows):
        skin, shift = clutter.parked(int(rng.integers(12))), rng.uniform(0, 12.8)
        size = (2 * reach * rng.uniform(0.5, 1.0), 1.55)
        layout.add(_panel(line, start, 0.5 + 0.6 * row, size, skin, shift=shift, depth=0.9, soft=True), 0.45)
    return 0.8 + 0.6 * rows


def _rail(layout: Layout, line: Line, reach: float) -> float:
    skin = clutter.railing(int(layout.rng.integers(6)))
    layout.add(_panel(line, -reach, 0.1, (2 * reach, 1.58), skin, depth=0.1, soft=True), 0.25)
    return 0.4


def _hedge(layout: Layout, line: Line, reach: float) -> float:
    rng = layout.rng
    height, width = rng.uniform(0.5, 1.4), rng.uniform(0.6, 1.2)
    size = np.array([2 * reach, width, height], np.float32)
    skin = clutter.leaves(int(rng.integers(10)), ragged=False)
    layout.add(Box(line.at(0, width / 2), size, line.yaw, skin, np.full(3, 0.95, np.float32), 1.1))
    along = np.array([line.along[0], line.along[1], 0], np.float32)
    ragged = clutter.leaves(int(rng.integers(10)), ragged=True)
    layout.add(Panel(line.at(-reach, -0.03), along, UP, 2 * reach, height + 0.12, ragged, depth=0.1, soft=True), 0.2)
    return width + 0.2


def _cars(layout: Layout, line: Line, reach: float) -> float:
    rng = layout.rng
    at = -reach + rng.uniform(0, 4)
    while at < reach - 4:
        if rng.random() < 0.75:
            for solid in car(line.at(at + 2.2, 1.0), line.yaw, int(rng.integers(9)), flip=bool(rng.random() < 0.5)):
                layout.add(solid)
        at += rng.uniform(4.9, 7.0)
    return 2.4


def car(center: Floats, yaw: float, variant: int, *, flip: bool = False) -> tuple[Solid, ...]:
    """Build a car whose middle stands on ``center``, lengthwise along ``yaw``: textured sides, a body of boxes."""
    along = np.array([np.cos(yaw), np.sin(yaw), 0], np.float32)
    if flip:
        along = -along
    across = np.array([-along[1], along[0], 0], np.float32)
    skin = clutter.car(variant)
    paint = clutter.car_paint(variant)
    tall = clutter.car_height(variant)
    size = np.array([4.1, 1.66, 0.62], np.float32)
    body = Box(center + np.array([0, 0, 0.26], np.float32), size, yaw, None, paint, 1.15)
    glass = linear((0.2, 0.22, 0.24))
    cabin = np.array([1.9, 1.5, tall - 0.84], np.float32)
    top = Box(center - along * np.float32(0.12) + np.array([0, 0, 0.8], np.float32), cabin, yaw, None, glass, 1.0)
    roof = np.array([1.75, 1.45, 0.06], np.float32)
    lid = Box(center - along * np.float32(0.12) + np.array([0, 0, tall - 0.05], np.float32), roof, yaw, None, paint)
    sides = [center - along * np.float32(2.2) + across * np.float32(side) for side in (-0.84, 0.84)]
    return (body, top, lid, *(Panel(corner, along, UP, 4.4, tall + 0.1, skin, depth=0.05) for corner in sides))


def _low_wall(layout: Layout, line: Line, reach: float) -> float:
    rng = layout.rng
    size = np.array([2 * reach, 0.3, rng.uniform(0.35, 1.1)], np.float32)
    skin = facades.wall(int(rng.integers(8)))
    layout.add(Box(line.at(0, 0.15), size, line.yaw, skin, np.full(3, rng.uniform(0.8, 1.2), np.float32), 1.1))
    return 0.5


def _bollards(layout: Layout, line: Line, reach: float) -> float:
    rng = layout.rng
    color, bands = _gray(rng, 0.2, 0.7), linear((0.7, 0.6, 0.3)) if rng.random() < 0.2 else None
    gap, radius, height = rng.uniform(1.2, 2.5), rng.uniform(0.05, 0.11), rng.uniform(0.6, 1.0)
    for at in np.arange(-min(reach, 8.0), min(reach, 8.0), gap):
        layout.add(Post(line.at(float(at), 0.2), radius, height, color, bands))
    return 0.5


Row = Callable[[Layout, Line, float], float]
ROWS: tuple[tuple[Row, float], ...] = (
    (_bicycles, 0.56),
    (_rail, 0.12),
    (_hedge, 0.12),
    (_cars, 0.07),
    (_low_wall, 0.06),
    (_bollards, 0.07),
)


def _row(layout: Layout, line: Line, reach: float) -> float:
    """Set up one of the rows above; with no clutter, mostly none."""
    if layout.rng.random() > 0.92 * layout.strength:
        return 0.0
    weights = np.array([weight for _, weight in ROWS])
    pick = int(layout.rng.choice(len(ROWS), p=weights / weights.sum()))
    return ROWS[pick][0](layout, line, reach)


def _facade(layout: Layout, line: Line, away: float, reach: float) -> None:
    rng = layout.rng
    skin = facades.facade(int(rng.integers(24)))
    lit = float(rng.random() < 0.5)
    size = (2 * reach, 3.2 * int(rng.integers(2, 4)))
    layout.add(_panel(line, -reach, away, size, skin, shift=rng.uniform(0, 12.8), depth=2.0, lit=lit))


def _grove(layout: Layout, line: Line, away: float, reach: float) -> None:
    """Set up trees with darkness between them: posts before a wall of leaves."""
    rng = layout.rng
    skin = clutter.leaves(int(rng.integers(10)), ragged=False)
    layout.add(_panel(line, -reach, away + 3, (2 * reach, 9.0), skin, soft=True, lit=0.15, shift=rng.uniform(0, 6)))
    for at in np.arange(-reach, reach, rng.uniform(2.5, 5)):
        if rng.random() > layout.strength:
            continue
        tree(layout, line.at(float(at + rng.uniform(-1, 1)), away + rng.uniform(0, 1.5)))


def tree(layout: Layout, foot: Floats) -> None:
    """Set up the lower part of a tree, whose crown mostly lies above the image."""
    rng = layout.rng
    bark = linear(np.array([0.30, 0.27, 0.23]) * rng.uniform(0.7, 1.3))
    layout.add(Post(foot, rng.uniform(0.08, 0.2), 6.0, bark))


def _furniture(layout: Layout, line: Line, reach: float) -> None:
    """Set up lamp posts, signs, bins and cabinets along a line."""
    rng = layout.rng
    for _ in range(int(rng.poisson(2.5 * layout.strength))):
        at, away, kind = rng.uniform(-reach, reach), rng.uniform(-0.3, 0.2), rng.random()
        if kind < 0.4:
            layout.add(Post(line.at(at, away), rng.uniform(0.04, 0.09), 6.0, _gray(rng, 0.25, 0.75)))
        elif kind < 0.6:
            layout.add(Post(line.at(at, away), rng.uniform(0.2, 0.3), rng.uniform(0.7, 1.0), _gray(rng, 0.2, 0.5)))
        elif kind < 0.8:
            skin, side = facades.sign(int(rng.integers(8))), rng.uniform(0.6, 1.5)
            height = rng.uniform(0.5, 1.6)
            panel = _panel(line, at, away, (side, side * 0.8), skin, depth=0.1)
            layout.add(Panel(line.at(at, away, height), panel.along, UP, side, side * 0.8, skin, depth=0.1))
            layout.add(Post(line.at(at + side / 2, away + 0.06), 0.04, height + 0.3, _gray(rng)))
        else:
            size = np.array([rng.uniform(0.5, 1.2), 0.5, rng.uniform(0.7, 1.5)], np.float32)
            layout.add(Box(line.at(at, away), size, line.yaw, None, _gray(rng, 0.35, 0.7)))


def _beyond(layout: Layout, line: Line, away: float) -> None:
    """Lay other ground behind a line, after a curb."""
    rng = layout.rng
    kind = rng.choice(["asphalt", "grass", "concrete", "none"], p=[0.4, 0.2, 0.15, 0.25])
    if kind == "none":
        return
    skin = paving.ground(kind, int(rng.integers(12)))
    layout.stripe(line, away, away + (3.5 if kind == "grass" else 60.0), skin, np.ones(3, np.float32))
    layout.stripe(line, away - 0.14, away, None, _gray(rng, 0.55, 0.75))


def band(layout: Layout, line: Line, *, depth: float, reach: float) -> None:
    """Set up all that lies behind a line: rows of clutter, other ground, and what closes the view ``depth`` behind."""
    rng = layout.rng
    curb = rng.uniform(-1.5, 0.5) if rng.random() < 0.6 else rng.uniform(0.5, 4)
    _beyond(layout, line, curb)
    used = _row(layout, line, reach)
    _furniture(layout, line, reach * 0.7)
    if depth - used > 2.0 and rng.random() < 0.75 * layout.strength:
        gap = rng.uniform(0.3, min(depth - used, 5.0) - 1.2)
        used += gap + _row(layout, Line(line.at(0, used + gap)[:2], line.along), reach)
    close = max(depth, used + 0.4)
    (_grove if rng.random() < 0.4 else _facade)(layout, line, close, reach + close + 12)


def _markings(layout: Layout, rng: np.random.Generator) -> None:
    """Lay lines where people walk: bands of other slabs, tactile paving, paint."""
    turn = rng.normal(0, 0.3) + (np.pi / 2 if rng.random() < 0.5 else 0)
    line = Line(np.array([rng.uniform(-3, 3), rng.uniform(5, 12)], np.float32), _unit(turn))
    kind = rng.random()
    if kind < 0.3:
        tone = linear((0.62, 0.57, 0.42)) if rng.random() < 0.5 else _gray(rng, 0.5, 0.6)
        layout.stripe(line, 0, rng.uniform(0.3, 0.6), paving.ground("bricks", int(rng.integers(12))), tone * 4)
    elif kind < 0.6:
        skin = paving.ground("bricks" if rng.random() < 0.5 else "squares", int(rng.integers(12)))
        layout.stripe(line, 0, rng.uniform(0.8, 40), skin, np.ones(3, np.float32))
    elif kind < 0.75:
        layout.stripe(line, 0, rng.uniform(0.1, 0.16), None, linear((0.74, 0.74, 0.72)))


def _unit(turn: float) -> Floats:
    return np.array([np.cos(turn), np.sin(turn)], np.float32)


def arrange(rng: np.random.Generator, strength: float, nearest: float, farthest: float) -> Layout:
    """Generate a street seen across or along; people walk from ``nearest`` to ``farthest`` meters before the camera."""
    layout = Layout(rng, strength)
    for _ in range(int(rng.integers(0, 3))):
        _markings(layout, rng)
    middle = nearest + 0.45 * (farthest - nearest)
    back = rng.uniform(middle, farthest + 3.0) + 1.0
    line = Line(np.array([0, back], np.float32), _unit(rng.normal(0, 0.22)))
    depth = rng.uniform(0.5, 3.0) if rng.random() < 0.4 else rng.uniform(3.0, 14.0)
    band(layout, line, depth=depth, reach=rng.uniform(10, 18))
    for side in (-1, 1):
        if rng.random() < 0.45 * min(strength, 1.5):
            away = rng.uniform(3.0, 6.5)
            turn = side * (np.pi / 2 + rng.uniform(-0.05, 0.35))
            beside = Line(np.array([side * away, 6.0], np.float32), _unit(-turn))
            band(layout, beside, depth=rng.uniform(0.5, 6.0), reach=9.0)
    return layout
