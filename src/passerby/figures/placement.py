"""Place labels and images beside points without overlaps: a greedy search, in inches."""

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
"""The cost of a covered point, in inches of distance."""


class Box(NamedTuple):
    """A rectangle on the page; larger is higher."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        """The center of the box."""
        return self.left + self.width / 2, self.bottom + self.height / 2

    def overlaps(self, other: Box, gap: float = _GAP) -> bool:
        """Test whether two boxes are nearer to each other than the gap."""
        apart = (
            self.left + self.width + gap <= other.left
            or other.left + other.width + gap <= self.left
            or self.bottom + self.height + gap <= other.bottom
            or other.bottom + other.height + gap <= self.bottom
        )
        return not apart

    def inside(self, other: Box) -> bool:
        """Test whether the box lies inside another."""
        across = other.left <= self.left and self.left + self.width <= other.left + other.width
        return across and other.bottom <= self.bottom and self.bottom + self.height <= other.bottom + other.height


def place_box(
    anchor: tuple[float, float],
    size: tuple[float, float],
    *,
    page: Box,
    taken: Sequence[Box],
    points: Points,
    reach: float,
    most: int | None = None,
) -> Box | None:
    """Find a place for a box of ``size``: near ``anchor``, on few points, on the page and on no taken box.

    Args:
        points: ``(n, 2)``; the box may cover some where there is no better place.
        reach: maximum distance of the box from the anchor.
        most: maximum number of covered points; ``None``: any number.

    Returns:
        The box, or ``None`` without room.
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


def select_spread(points: Points, number: int) -> list[int]:
    """Select rows of points far from each other: the farthest from the mean, then the farthest from all selected."""
    selected: list[int] = []
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    for _ in range(min(number, len(points))):
        row = int(distance.argmax())
        if selected and distance[row] == 0:
            break
        selected.append(row)
        own = np.linalg.norm(points - points[row], axis=1)
        distance = own if len(selected) == 1 else np.minimum(distance, own)
    return selected
