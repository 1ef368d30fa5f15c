"""Batch-hard triplet loss (Hermans, Beyer, Leibe: In Defense of the Triplet Loss, 2017, Eq 5)."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Int
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchHardMiner
from torch import Tensor


class Triplets(NamedTuple):
    """Rows of the batch: anchor, its farthest positive, its nearest negative. Each ``(t,)`` int64."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor

    def of(self, rows: Float[Tensor, "b ..."]) -> tuple[Tensor, Tensor, Tensor]:
        """Anchors, positives and negatives out of the batch's rows.

        ``index_select``, since the gradient of ``rows[index]`` sums in the order in which threads come.
        """
        anchor, positive, negative = (rows.index_select(0, index) for index in self)
        return anchor, positive, negative


def mine_hardest(metric: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Triplets:
    """The hardest triplet of every anchor, by Euclidean distance of the vectors as they are (not normalized).

    An anchor without any positive or without any negative in the batch has no triplet.
    """
    miner = BatchHardMiner(distance=LpDistance(normalize_embeddings=False))
    return Triplets(*miner(metric.detach(), labels))


def euclidean(x: Float[Tensor, "t d"], y: Float[Tensor, "t d"]) -> Float[Tensor, " t"]:
    """Row by row; the gradient at 0 is finite."""
    return (x - y).pow(2).sum(dim=1).clamp_min(1e-12).sqrt()


def margin_loss(to_positive: Float[Tensor, " t"], to_negative: Float[Tensor, " t"], margin: float) -> Float[Tensor, ""]:
    """Mean of max(0, margin + d(a, p) − d(a, n)); 0 where there are no triplets."""
    hinge = (margin + to_positive - to_negative).clamp_min(0)
    return hinge.sum() / max(1, len(hinge))


def triplet_loss(metric: Float[Tensor, "b d"], triplets: Triplets, *, margin: float = 0.3) -> Float[Tensor, ""]:
    """The margin loss of Euclidean distances over mined triplets."""
    anchor, positive, negative = triplets.of(metric)
    return margin_loss(euclidean(anchor, positive), euclidean(anchor, negative), margin)
