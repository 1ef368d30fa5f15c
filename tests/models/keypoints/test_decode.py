"""Positions and confidence from distributions, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from passerby.models.keypoints.decode import decode_keypoints, mean_scores, mirror_scores, probabilities
from passerby.models.keypoints.network import KeypointScores


def one_keypoint(x: list[float], y: list[float], inside: float = 1.0) -> KeypointScores:
    return KeypointScores(torch.tensor([[x]]), torch.tensor([[y]]), torch.tensor([[inside]]))


def test_a_position_is_the_center_of_the_likeliest_bin() -> None:
    (position,), _ = decode_keypoints(one_keypoint([0.1, 0.6, 0.2, 0.1], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.1]))
    assert position[0].tolist() == [1.5 / 4, 6.5 / 8]


def test_confidence_is_the_probability_of_being_near() -> None:
    """With 40 rows, 5 % of the height are 2 bins: bins 1 to 5 are near bin 3, along x as along y."""
    x, y = [0.0] * 20, [0.0] * 40
    x[3], x[5], x[6] = 0.6, 0.2, 0.2
    y[3], y[1], y[7], y[39] = 0.4, 0.3, 0.2, 0.1
    _, confidence = decode_keypoints(one_keypoint(x, y, inside=0.5))
    assert confidence.item() == pytest.approx(0.5 * 0.8 * 0.7)


def test_likely_neighbors_outweigh_a_peak() -> None:
    """A bin counts by 1 − distance / 3: bin 31 has 0.35, bins 2 to 4 have 0.32, 0.43 and 0.32 around them."""
    y = [0.0] * 40
    y[2], y[3], y[4], y[31] = 0.2, 0.2, 0.2, 0.35
    y[39] = 0.05
    (position,), _ = decode_keypoints(one_keypoint([0.0] * 19 + [1.0], y))
    assert position[0].tolist() == pytest.approx([19.5 / 20, 3.5 / 40])


def test_scores_become_probabilities() -> None:
    found = probabilities(one_keypoint([0.0, math.log(3)], [0.0, 0.0], inside=0.0))
    torch.testing.assert_close(found.x, torch.tensor([[[0.25, 0.75]]]))
    torch.testing.assert_close(found.y, torch.tensor([[[0.5, 0.5]]]))
    assert found.inside.item() == 0.5


def test_a_mirror_swaps_left_and_right() -> None:
    """Right shoulder 2 ↔ left shoulder 5; the nose stays itself; columns are read backwards, rows are not."""
    generator = torch.Generator().manual_seed(0)
    scores = KeypointScores(*(torch.rand(2, 18, *n, generator=generator) for n in ((4,), (6,), ())))
    other = mirror_scores(scores)
    for keypoint, partner in ((2, 5), (5, 2), (0, 0), (10, 13), (16, 17)):
        assert torch.equal(other.x[:, keypoint], scores.x[:, partner].flip(-1))
        assert torch.equal(other.y[:, keypoint], scores.y[:, partner])
        assert torch.equal(other.inside[:, keypoint], scores.inside[:, partner])
    for twice, once in zip(mirror_scores(other), scores, strict=True):
        assert torch.equal(twice, once)


def test_the_mean_is_of_probabilities() -> None:
    mean = mean_scores(one_keypoint([1.0, 0.0], [1.0], 0.2), one_keypoint([0.0, 1.0], [1.0], 0.6))
    assert mean.x.tolist() == [[[0.5, 0.5]]]
    assert mean.inside.item() == pytest.approx(0.4)
