"""From the scores of a pose network to places and how sure they are.

A joint's place is the middle of the column and of the row around which it most likely lies: of the sums of what
is near, nearer bins counting more, the largest. SimCC (Li et al., ECCV 2022, Eq 2) takes the highest bin alone, which
of two legs may be the wrong one by little. A joint's confidence is a probability: that the joint is in the picture,
times that its column and its row lie within 5 % of the picture's height of the place found, which is what the metric
PCK counts (:mod:`passerby.metrics.pck`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.keypoints.augment import MIRRORED
from passerby.models.keypoints.network import KeypointScores

NEAR = 0.05
"""Share of the picture's height within which a place counts as right."""


def probabilities(scores: KeypointScores) -> KeypointScores:
    """Scores as probabilities: columns and rows sum to 1 over each joint."""
    return KeypointScores(scores.x.softmax(-1), scores.y.softmax(-1), scores.inside.sigmoid())


def mirror_scores(scores: KeypointScores) -> KeypointScores:
    """What the scores (or probabilities) of a mirrored picture say of the picture itself."""
    order = torch.tensor(MIRRORED, device=scores.x.device)
    return KeypointScores(scores.x[:, order].flip(-1), scores.y[:, order], scores.inside[:, order])


def mean_scores(one: KeypointScores, other: KeypointScores) -> KeypointScores:
    """The mean of two sets of probabilities."""
    return KeypointScores(*((a + b) / 2 for a, b in zip(one, other, strict=True)))


def decode_keypoints(found: KeypointScores) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
    """Places as fractions of width and height, and confidence in [0, 1], from probabilities.

    Bins are equally fine along both sides, so that as many of them make 5 % of the height in x as in y.
    """
    reach = NEAR * found.y.shape[-1]
    x, near_x = _peak(found.x, reach)
    y, near_y = _peak(found.y, reach)
    return torch.stack([x, y], dim=-1), found.inside * near_x * near_y


def _peak(p: Float[Tensor, "b j n"], reach: float) -> tuple[Float[Tensor, "b j"], Float[Tensor, "b j"]]:
    """The place of the likeliest neighborhood as a share of all bins, and the probability within ``reach`` of it."""
    apart = (torch.arange(p.shape[-1], device=p.device) - torch.arange(p.shape[-1], device=p.device)[:, None]).abs()
    best = (p @ (1 - apart / (reach + 1)).clamp_min(0)).argmax(-1)
    near = (apart <= reach)[best]  # (b, j, n)
    return (best + 0.5) / p.shape[-1], (p * near).sum(-1).clamp_max(1)
