"""The losses of a pose network that classifies each keypoint's column and row (SimCC, Li et al., ECCV 2022, §3.2).

The labels are smoothed, since bins near the true one are nearly right: q_i ∝ exp(−(i − t)² / 2σ²), t the true position
in bins. A keypoint's loss is KL(q ‖ p), p the softmax of its scores; it is 0 where p equals the label q.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def soft_labels(positions: Float[Tensor, "b k"], bins: int, sigma: float) -> Float[Tensor, "b k n"]:
    """Return the probabilities of ``bins`` bins; positions are fractions of their number, σ is in bins.

    >>> soft_labels(torch.tensor([[0.5]]), 3, 0.5).round(decimals=2)
    tensor([[[0.1100, 0.7900, 0.1100]]])
    """
    centers = torch.arange(bins, device=positions.device) + 0.5
    return (-((centers - bins * positions[..., None]) ** 2) / (2 * sigma**2)).softmax(-1)


def coordinate_loss(
    scores: Float[Tensor, "b k n"], positions: Float[Tensor, "b k"], weight: Float[Tensor, "b k"], *, sigma: float
) -> Float[Tensor, ""]:
    """Return the weighted mean of KL(q ‖ p) along one axis; positions of weight 0 are ignored and may be any value."""
    known = torch.where(weight > 0, positions, 0.5)
    labels = soft_labels(known, scores.shape[-1], sigma)
    each = F.kl_div(scores.log_softmax(-1), labels, reduction="none").sum(-1)
    return (weight * each).sum() / weight.sum().clamp_min(1e-6)


def presence_loss(
    scores: Float[Tensor, "b k"], inside: Float[Tensor, "b k"], known: Bool[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Return the binary cross-entropy of "the keypoint is in the image", the mean over ``known`` ones."""
    each = F.binary_cross_entropy_with_logits(scores, inside, reduction="none")
    return torch.where(known, each, 0.0).sum() / known.sum().clamp_min(1)
