"""How well a crop shows its person: size, sharpness, and how much of the person is in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.boxes import Floats, areas, intersections

_GOOD_HEIGHT = 128.0
"""The height in pixels above which a taller crop is no better: that of most models' input."""
_GOOD_SHARPNESS = 100.0
"""The variance of the Laplacian at which a crop counts as half sharp."""
_BORDER = 2.0
"""The pixels from the frame's border within which a box counts as cut by it."""
_POOR = 0.4
"""The share of the best candidate's quality below which another is not chosen."""
_CUT = 0.5
"""The visibility of a person whom the border cuts, as a factor."""


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian of the gray values, at a height of 128 to 255 pixels if there are more."""
    step = max(1, crop.shape[0] // 128)
    gray = crop[::step, ::step].astype(np.float32).mean(axis=2)
    if min(gray.shape) < 3:
        return 0.0
    middle = gray[1:-1, 1:-1]
    laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * middle
    return float(laplacian.var())


def visibility(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Return the share of each person in view, 0…1: what the frame holds and no other box overlaps.

    Args:
        boxes: all people of the frame, ``(n, 4)``.
        size: the frame's (height, width).
    """
    height, width = size
    frame = np.array([[0, 0, width, height]], np.float32)
    own = np.maximum(areas(boxes), 1e-9)
    inside = intersections(boxes, frame)[:, 0] / own
    shared = intersections(boxes, boxes)
    np.fill_diagonal(shared, 0)
    free = 1 - np.minimum(shared.max(axis=1, initial=0) / own, 1)
    near = (boxes[:, :2] <= _BORDER).any(axis=1) | (boxes[:, 2:] >= np.array([width, height]) - _BORDER).any(axis=1)
    return np.asarray(inside * free * np.where(near, _CUT, 1), np.float32)


def quality(crop: NDArray[np.uint8], visible: float, score: float) -> float:
    """Return one number 0…1, higher is better: the product of size, sharpness, visibility and the detector's score."""
    sharp = sharpness(crop)
    size = min(1.0, crop.shape[0] / _GOOD_HEIGHT)
    return float(size * sharp / (sharp + _GOOD_SHARPNESS) * visible * score)


def spread(qualities: Sequence[float], moments: Sequence[float], count: int) -> list[int]:
    """Return the places of the best candidates, spread over time, ascending.

    Those that are much worse than the best one are left out. The time of the others is cut into ``count`` equal spans,
    each gives its best; empty spans are made up for by the best that are left.
    """
    least = _POOR * max(qualities)
    order = sorted((n for n in range(len(qualities)) if qualities[n] >= least), key=lambda place: -qualities[place])
    first, last = min(moments[place] for place in order), max(moments[place] for place in order)
    span = (last - first) / count or 1.0
    best: dict[int, int] = {}
    for place in order:
        best.setdefault(min(count - 1, int((moments[place] - first) / span)), place)
    chosen = list(best.values())
    chosen += [place for place in order if place not in best.values()][: count - len(chosen)]
    return sorted(chosen[:count])
