"""Boxes: overlaps against plain loops, and non-maximum suppression."""

from __future__ import annotations

import numpy as np

from passerby.data.video.boxes import areas, intersections, overlaps, suppressed


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 30, (count, 2))], axis=1).astype(np.float32)


def plain_overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union, side by side."""
    width = min(float(a[2]), float(b[2])) - max(float(a[0]), float(b[0]))
    height = min(float(a[3]), float(b[3])) - max(float(a[1]), float(b[1]))
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / union)


def test_overlaps_are_those_of_plain_loops() -> None:
    a, b = random_boxes(0, 20), random_boxes(1, 15)
    expected = [[plain_overlap(one, other) for other in b] for one in a]
    np.testing.assert_allclose(overlaps(a, b), expected, atol=1e-5)
    assert 0 < np.count_nonzero(expected) < 300  # some overlap, some do not
    np.testing.assert_allclose(intersections(a, a).diagonal(), areas(a), rtol=1e-5)


def test_no_boxes_overlap_nothing() -> None:
    none = np.empty((0, 4), np.float32)
    assert overlaps(none, random_boxes(0, 3)).shape == (0, 3)
    assert len(suppressed(none, np.empty(0, np.float32), 0.5)) == 0


def test_of_boxes_that_overlap_the_best_stays() -> None:
    boxes = random_boxes(2, 60)
    scores = np.random.default_rng(3).permutation(60).astype(np.float32) / 60
    kept: list[int] = []
    for place in sorted(range(60), key=lambda place: -scores[place]):
        if all(plain_overlap(boxes[place], boxes[other]) <= 0.4 for other in kept):
            kept.append(place)
    assert suppressed(boxes, scores, 0.4).tolist() == kept
    assert 5 < len(kept) < 60
