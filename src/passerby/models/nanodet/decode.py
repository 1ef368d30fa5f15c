"""From the outputs of NanoDet to boxes of people.

Source: Lyu, "NanoDet: Super fast and high accuracy lightweight anchor-free object detection model", 2020 (a program
without a paper). A box is told by its distances from the center of a cell to its four sides, each the mean of a
distribution over whole strides: Li et al., "Generalized Focal Loss", NeurIPS 2020, Eq 4-5.

========================================  ==================
side = stride · Σ i · softmax(scores)_i   :func:`distances`
center = stride · (cell + 1/2)            :func:`centers`
========================================  ==================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.data.video.boxes import Floats, suppressed
from passerby.data.video.detector import Detections

LEAST_SCORE = 0.1
"""The score below which nothing is returned."""
_OVERLAP = 0.6
"""The overlap from which the less certain of two boxes is left out, as in the author's program."""


@dataclass(frozen=True, eq=False)
class Level:
    """The outputs for the cells of one stride."""

    stride: int
    scores: Floats
    """The score of a person in each cell, 0…1: ``(n,)`` row by row."""
    sides: Floats
    """The scores of the distances, ``(n, 4 · bins)``: left, top, right, bottom."""


def distances(sides: Floats, stride: int) -> Floats:
    """Return the distances to the four sides in pixels of the input, ``(n, 4)``."""
    scores = sides.reshape(len(sides), 4, sides.shape[1] // 4)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    bins = np.arange(scores.shape[2], dtype=np.float32)
    return np.asarray((weights @ bins) / weights.sum(axis=2) * stride, np.float32)


def centers(cells: Floats, across: int, stride: int) -> Floats:
    """Return the centers x, y of cells, given by their number row by row, ``(n, 2)``."""
    return np.asarray((np.stack([cells % across, cells // across], axis=1) + 0.5) * stride, np.float32)


def decode(levels: list[Level], size: int, scale: float) -> Detections:
    """Return the people of a frame.

    Args:
        levels: the outputs of all strides.
        size: the side of the square input in pixels.
        scale: the pixels of the input per pixel of the frame.
    """
    boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
    for level in levels:
        cells = np.flatnonzero(level.scores >= LEAST_SCORE)
        middle = centers(np.asarray(cells), size // level.stride, level.stride)
        away = distances(level.sides[cells], level.stride)
        boxes.append(np.concatenate([middle - away[:, :2], middle + away[:, 2:]], axis=1))
        scores.append(level.scores[cells])
    whole, certain = np.concatenate(boxes), np.concatenate(scores)
    kept = suppressed(whole, certain, _OVERLAP)
    return Detections(whole[kept] / np.float32(scale), certain[kept])
