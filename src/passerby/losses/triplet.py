"""Batch-hard triplet loss (Hermans, Beyer, Leibe: In Defense of the Triplet Loss, 2017, Eq 5), global and local.

The local triplet loss is that of AlignedReID++ (Luo et al., Pattern Recognition 2019): DMLI distances
(:mod:`passerby.retrieval.distance.dmli`) over the triplets that the global branch mined.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.retrieval.distance.dmli import dmli_pairs


class Triplets(NamedTuple):
    """The rows of a batch: anchor, its farthest positive, its nearest negative. Each ``(t,)`` int64."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor

    def select(self, rows: Float[Tensor, "b ..."]) -> tuple[Tensor, Tensor, Tensor]:
        """Select anchors, positives and negatives from the rows of the batch.

        ``index_select``, since the gradient of ``rows[index]`` is summed in an order that depends on the threads.
        """
        anchor, positive, negative = (rows.index_select(0, index) for index in self)
        return anchor, positive, negative


def mine_hardest(metric: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Triplets:
    """Return the hardest triplet of every anchor, by Euclidean distance of the unnormalized vectors.

    An anchor without any positive or without any negative in the batch has no triplet. The triplets are those of
    pytorch-metric-learning's ``BatchHardMiner``, in its order, which a test compares; importing it takes seconds.
    """
    distances = torch.cdist(metric.detach(), metric.detach())
    same = labels[:, None] == labels
    positive = same.clone().fill_diagonal_(fill_value=False)
    limit = torch.finfo(distances.dtype)
    farthest = torch.where(positive, distances, limit.min).max(dim=1).indices
    closest = torch.where(same, limit.max, distances).min(dim=1).indices
    (anchor,) = (positive.any(dim=1) & ~same.all(dim=1)).nonzero(as_tuple=True)
    return Triplets(anchor, farthest[anchor], closest[anchor])


def euclidean(x: Float[Tensor, "t d"], y: Float[Tensor, "t d"]) -> Float[Tensor, " t"]:
    """Return the distance of each row of x to the same row of y; the gradient at 0 is finite."""
    return (x - y).pow(2).sum(dim=1).clamp_min(1e-12).sqrt()


def margin_loss(to_positive: Float[Tensor, " t"], to_negative: Float[Tensor, " t"], margin: float) -> Float[Tensor, ""]:
    """Return the mean of max(0, margin + d(a, p) − d(a, n)); 0 if there are no triplets."""
    hinge = (margin + to_positive - to_negative).clamp_min(0)
    return hinge.sum() / max(1, len(hinge))


def triplet_loss(metric: Float[Tensor, "b d"], triplets: Triplets, *, margin: float = 0.3) -> Float[Tensor, ""]:
    """Return the margin loss of Euclidean distances over mined triplets."""
    anchor, positive, negative = triplets.select(metric)
    return margin_loss(euclidean(anchor, positive), euclidean(anchor, negative), margin)


def local_triplet_loss(local: Float[Tensor, "b s c"], triplets: Triplets, *, margin: float = 0.3) -> Float[Tensor, ""]:
    """Return the margin loss of shortest-path (DMLI) distances between L2-normalized stripes."""
    anchor, positive, negative = triplets.select(local)
    return margin_loss(dmli_pairs(anchor, positive), dmli_pairs(anchor, negative), margin)
