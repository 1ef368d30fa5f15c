"""Distances between embeddings. Smaller is closer; dtype and device follow the input."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integers as wide as a float of so many bytes."""


def normalize(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows divided by their Euclidean length.

    Raises:
        ProtocolError: if a row holds NaN or infinity, or is zero: it is near to nothing and far from nothing.
    """
    length: Tensor = features.norm(dim=1, keepdim=True)
    _refuse((~length.isfinite() | (length == 0)).squeeze(1), "zero or not finite")
    return features / length


def centred(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"]) -> tuple[Float[Tensor, "m d"], Float[Tensor, "n e"]]:
    """Both without the mean of ``y``: no distance between them changes, but fewer of its digits are lost.

    Embeddings after a ReLU lie far from the origin and near each other, where ‖x‖² + ‖y‖² − 2 x·y cancels.

    Raises:
        ProtocolError: if a row holds NaN or infinity.
    """
    for features in (x, y):
        _refuse(~features.isfinite().all(dim=1), "not finite")
    mean = y.mean(dim=0)
    return (x - mean if x.shape[1] == y.shape[1] else x), y - mean


def _refuse(bad: Bool[Tensor, " n"], what: str) -> None:
    if bad.any():
        rows = bad.nonzero().squeeze(1).tolist()
        raise ProtocolError(
            f"{len(rows)} of {len(bad)} embeddings are {what} (rows {str(rows[:5])[1:-1]}); "
            "look at the pictures and the model that made them"
        )


def squared_euclidean(
    x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, lengths: Float[Tensor, " n"] | None = None
) -> Float[Tensor, "m n"]:
    """‖x‖² + ‖y‖² − 2 x·y of all pairs, not below 0; d = e. ``lengths``: ‖y‖², if somebody knows them already.

    Raises:
        ShapeError: if the dimensions or dtypes differ.
    """
    if x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"queries have {x.shape[1]} dimensions, the gallery {y.shape[1]}: they come from different models; "
            "embed both with the same one"
        )
    if x.dtype != y.dtype:
        raise ShapeError(f"queries are {x.dtype}, the gallery {y.dtype}: convert one of them")
    norms = x.pow(2).sum(1)[:, None] + (y.pow(2).sum(1) if lengths is None else lengths)
    distances: Tensor = torch.addmm(norms, x, y.T, alpha=-2).clamp_min_(0)
    return distances


def first_copies(*columns: Float[Tensor, "n ..."]) -> Int[Tensor, " n"] | None:
    """Of each row the first one that is bitwise equal to it in all columns; ``None`` where all differ.

    A matrix product rounds by position, so the distances of two copies differ in the last bit. Taking
    both from the first copy makes them a tie.
    """
    # bit patterns summed as integers are exact in any order: unequal sums, unequal rows
    sums = sum((c.flatten(1).view(_BITS[c.element_size()]).sum(1) for c in columns), torch.tensor(0)).cpu()
    _, group, size = sums.unique(return_inverse=True, return_counts=True)
    first = torch.arange(len(sums))
    seen: dict[bytes, int] = {}
    for row in (size[group] > 1).nonzero().squeeze(1).tolist():
        content = b"".join(c[row].view(torch.uint8).cpu().numpy().tobytes() for c in columns)
        first[row] = seen.setdefault(content, row)
    return None if torch.equal(first, torch.arange(len(first))) else first
