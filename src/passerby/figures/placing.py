"""Labels and pictures beside points, so that none lies on another: a greedy search, in inches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_DIRECTIONS = 16
_GAP = 0.04
_COVERED = 0.25
"""What a covered point costs, in inches of distance."""


class Box(NamedTuple):
    """On the page; up is more."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.bottom + self.height / 2

    def overlaps(self, other: Box, gap: float = _GAP) -> bool:
        """Whether they are nearer than the gap."""
        apart = (
            self.left + self.width + gap <= other.left
            or other.left + other.width + gap <= self.left
            or self.bottom + self.height + gap <= other.bottom
            or other.bottom + other.height + gap <= self.bottom
        )
        return not apart

    def inside(self, other: Box) -> bool:
        across = other.left <= self.left and self.left + self.width <= other.left + other.width
        return across and other.bottom <= self.bottom and self.bottom + self.height <= other.bottom + other.height


def place(
    anchor: tuple[float, float],
    size: tuple[float, float],
    *,
    page: Box,
    taken: Sequence[Box],
    points: Points,
    reach: float,
    most: int | None = None,
) -> Box | None:
    """A box of ``size`` beside ``anchor``: near it, on few points, on the page and on nothing that is taken.

    Args:
        points: ``(n, 2)``, which may be covered where there is no better place.
        reach: how far its edge may be away.
        most: how many points it may cover; ``None``: any number.

    Returns:
        ``None`` where there is no room.
    """
    best, least = None, math.inf
    for step in range(6):
        away = 0.06 + reach * step / 5
        for turn in range(_DIRECTIONS):
            angle = 2 * math.pi * turn / _DIRECTIONS
            x = anchor[0] + math.cos(angle) * (size[0] / 2 + away)
            y = anchor[1] + math.sin(angle) * (size[1] / 2 + away)
            box = Box(x - size[0] / 2, y - size[1] / 2, *size)
            covered = _covered(box, points)
            cost = away + _COVERED * covered
            if most is not None and covered > most:
                continue
            if cost < least and box.inside(page) and not any(box.overlaps(other) for other in taken):
                best, least = box, cost
    return best


def _covered(box: Box, points: Points) -> int:
    low = np.array([box.left, box.bottom]) - _GAP
    high = np.array([box.left + box.width, box.bottom + box.height]) + _GAP
    return int(((points >= low) & (points <= high)).all(axis=1).sum())


def spread(points: Points, number: int) -> list[int]:
    """Rows of points far from each other: the farthest from the middle, then ever the farthest from all chosen."""
    chosen: list[int] = []
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    for _ in range(min(number, len(points))):
        row = int(distance.argmax())
        if chosen and distance[row] == 0:
            break
        chosen.append(row)
        own = np.linalg.norm(points - points[row], axis=1)
        distance = own if len(chosen) == 1 else np.minimum(distance, own)
    return chosen
