"""Boxes of people in a frame: ``(n, 4)`` of float32, left, top, right, bottom in pixels."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"


def areas(boxes: Floats) -> Floats:
    """Return the areas of n boxes, ``(n,)``; an inverted box has none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersections(a: Floats, b: Floats) -> Floats:
    """Return the areas that boxes of ``a`` share with those of ``b``, ``(n, m)``."""
    first = np.maximum(a[:, None, :2], b[None, :, :2])
    last = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(last - first, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def overlaps(a: Floats, b: Floats) -> Floats:
    """Return intersection over union, 0…1, of boxes of ``a`` with those of ``b``, ``(n, m)``."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def suppressed(boxes: Floats, scores: Floats, overlap: float) -> NDArray[np.int64]:
    """Return the places of the boxes that stay, best first: none overlaps a better one by more than ``overlap``."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[overlaps(boxes[best : best + 1], boxes[order])[0] <= overlap]
    return np.array(kept, np.int64)
