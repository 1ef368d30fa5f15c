"""Decoding of NanoDet's outputs against plain Python, in float64."""

from __future__ import annotations

import math

import numpy as np

from passerby.models.nanodet.decode import Level, decode, distances


def outputs(seed: int, size: int, bins: int) -> list[Level]:
    rng = np.random.default_rng(seed)
    levels = []
    for stride in (8, 16, 32):
        cells = (size // stride) ** 2
        scores = rng.uniform(0, 0.35, cells).astype(np.float32) ** 2
        levels.append(Level(stride, scores, rng.normal(0, 2, (cells, 4 * bins)).astype(np.float32)))
    return levels


def plain(levels: list[Level], size: int, scale: float) -> list[tuple[float, ...]]:
    """Every cell, every side, one after the other; then greedy suppression."""
    found = []
    for level in levels:
        across = size // level.stride
        for cell, score in enumerate(level.scores.tolist()):
            if score < 0.1:
                continue
            x, y = (cell % across + 0.5) * level.stride, (cell // across + 0.5) * level.stride
            away = []
            for side in range(4):
                bins = level.sides.shape[1] // 4
                logits = level.sides[cell, side * bins : (side + 1) * bins].astype(float).tolist()
                total = sum(math.exp(each) for each in logits)
                away.append(sum(i * math.exp(each) / total for i, each in enumerate(logits)) * level.stride)
            found.append((score, x - away[0], y - away[1], x + away[2], y + away[3]))
    kept: list[tuple[float, ...]] = []
    for box in sorted(found, reverse=True):
        if all(_overlap(box[1:], other[1:]) <= 0.6 for other in kept):
            kept.append(box)
    return [(box[0], *(side / scale for side in box[1:])) for box in kept]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_decoding_is_that_of_plain_python() -> None:
    levels = outputs(0, 96, 11)
    found, expected = decode(levels, 96, 0.5), plain(levels, 96, 0.5)
    assert 3 < len(expected) < sum(int((level.scores >= 0.1).sum()) for level in levels)  # some are suppressed
    np.testing.assert_allclose(found.scores, [box[0] for box in expected], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [box[1:] for box in expected], rtol=1e-4, atol=1e-3)


def test_a_certain_bin_is_its_distance() -> None:
    sides = np.full((1, 44), -50, np.float32)
    sides[0, [3, 11 + 0, 22 + 10, 33 + 5]] = 50
    np.testing.assert_allclose(distances(sides, 16), [[48, 0, 160, 80]], atol=1e-4)


def test_a_frame_without_people_has_no_boxes() -> None:
    levels = [Level(32, np.zeros(9, np.float32), np.zeros((9, 44), np.float32))]
    assert decode(levels, 96, 1.0).boxes.shape == (0, 4)
