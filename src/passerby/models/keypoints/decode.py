"""Decode the scores of a pose network into keypoint positions and confidences.

A keypoint's position is the center of the column and of the row with the largest weighted sum of probability around
it; nearer bins weigh more. SimCC (Li et al., ECCV 2022, Eq 2) takes the highest bin alone, which may lie on the wrong
one of two legs by a small margin. A keypoint's confidence is the probability that the keypoint is in the image, times
the probabilities that its column and its row lie within 5 % of the image height of the decoded position, which is what
the metric PCK counts (:mod:`passerby.metrics.pck`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.keypoints.skeleton import MIRRORED
from passerby.models.keypoints.network import KeypointScores

NEAR = 0.05
"""The share of the image height within which a position counts as correct."""


def probabilities(scores: KeypointScores) -> KeypointScores:
    """Return scores as probabilities: the columns and the rows of each keypoint sum to 1."""
    return KeypointScores(scores.x.softmax(-1), scores.y.softmax(-1), scores.inside.sigmoid())


def mirror_scores(scores: KeypointScores) -> KeypointScores:
    """Return scores (or probabilities) of a mirrored image as scores of the image itself."""
    order = torch.tensor(MIRRORED, device=scores.x.device)
    return KeypointScores(scores.x[:, order].flip(-1), scores.y[:, order], scores.inside[:, order])


def mean_scores(one: KeypointScores, other: KeypointScores) -> KeypointScores:
    """Return the mean of two sets of probabilities."""
    return KeypointScores(*((a + b) / 2 for a, b in zip(one, other, strict=True)))


def decode_keypoints(found: KeypointScores) -> tuple[Float[Tensor, "b k 2"], Float[Tensor, "b k"]]:
    """Return positions as fractions of width and height, and confidences in [0, 1], from probabilities.

    Bins have the same size along both axes, so that 5 % of the height is the same number of bins in x and in y.
    """
    reach = NEAR * found.y.shape[-1]
    x, near_x = _peak(found.x, reach)
    y, near_y = _peak(found.y, reach)
    return torch.stack([x, y], dim=-1), found.inside * near_x * near_y


def _peak(p: Float[Tensor, "b k n"], reach: float) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
    """Return the likeliest neighborhood's position as a fraction of all bins, and the probability within ``reach``."""
    apart = (torch.arange(p.shape[-1], device=p.device) - torch.arange(p.shape[-1], device=p.device)[:, None]).abs()
    best = (p @ (1 - apart / (reach + 1)).clamp_min(0)).argmax(-1)
    near = (apart <= reach)[best]  # (b, k, n)
    return (best + 0.5) / p.shape[-1], (p * near).sum(-1).clamp_max(1)
