"""Distances between embeddings. Smaller is closer; dtype and device follow the input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError


def normalize(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows divided by their Euclidean length.

    Raises:
        ProtocolError: if a row holds NaN or infinity, or is zero: it is near to nothing and far from nothing.
    """
    length = features.norm(dim=1, keepdim=True)
    bad = (~length.isfinite() | (length == 0)).squeeze(1)
    if bad.any():
        rows = bad.nonzero().squeeze(1).tolist()
        raise ProtocolError(
            f"{len(rows)} of {len(features)} embeddings are zero or not finite (rows {str(rows[:5])[1:-1]}); "
            "look at the pictures and the model that made them"
        )
    return features / length


def squared_euclidean(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    """‖x‖² + ‖y‖² − 2 x·y of all pairs, not below 0.

    Raises:
        ShapeError: if the dimensions differ.
    """
    if x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"queries have {x.shape[1]} dimensions, the gallery {y.shape[1]}: they come from different models"
        )
    norms = x.pow(2).sum(1)[:, None] + y.pow(2).sum(1)[None, :]
    distances: Tensor = torch.addmm(norms, x, y.T, alpha=-2).clamp_min_(0)
    return distances
