"""The local triplet loss of AlignedReID++: DMLI distances over triplets that the global branch mined."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from passerby.losses.triplet import Triplets, margin_loss
from passerby.retrieval.distance.dmli import dmli_pairs


def local_triplet_loss(local: Float[Tensor, "b s c"], triplets: Triplets, *, margin: float = 0.3) -> Float[Tensor, ""]:
    """The margin loss of shortest-path distances between L2-normalized stripes."""
    anchor, positive, negative = triplets.of(local)
    return margin_loss(dmli_pairs(anchor, positive), dmli_pairs(anchor, negative), margin)
