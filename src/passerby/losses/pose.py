"""Losses of a pose network that classifies each joint's column and row (SimCC, Li et al., ECCV 2022, §3.2).

The labels are smoothed: the bins near the true one are nearly right. q_i ∝ exp(−(i − t)² / 2σ²), t the true place in
bins. A joint's loss is KL(q ‖ p), p the softmax of its scores; it is 0 where the network says what the label says.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def soft_labels(places: Float[Tensor, "b j"], bins: int, sigma: float) -> Float[Tensor, "b j n"]:
    """Probabilities of ``bins`` bins; places are fractions of them all, σ is in bins.

    >>> soft_labels(torch.tensor([[0.5]]), 3, 0.5).round(decimals=2)
    tensor([[[0.1100, 0.7900, 0.1100]]])
    """
    middles = torch.arange(bins, device=places.device) + 0.5
    return (-((middles - bins * places[..., None]) ** 2) / (2 * sigma**2)).softmax(-1)


def coordinate_loss(
    scores: Float[Tensor, "b j n"], places: Float[Tensor, "b j"], weight: Float[Tensor, "b j"], *, sigma: float
) -> Float[Tensor, ""]:
    """Weighted mean of KL(q ‖ p) along one side; places of weight 0 have no meaning and may be anywhere."""
    known = torch.where(weight > 0, places, 0.5)
    labels = soft_labels(known, scores.shape[-1], sigma)
    each = F.kl_div(scores.log_softmax(-1), labels, reduction="none").sum(-1)
    return (weight * each).sum() / weight.sum().clamp_min(1e-6)


def presence_loss(
    scores: Float[Tensor, "b j"], inside: Float[Tensor, "b j"], known: Bool[Tensor, "b j"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of 'the joint is in the picture', mean over the joints of which that is ``known``."""
    each = F.binary_cross_entropy_with_logits(scores, inside, reduction="none")
    return torch.where(known, each, 0.0).sum() / known.sum().clamp_min(1)
