"""Distances between embeddings. Smaller is closer; dtype and device follow the input."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError

HALF = torch.float16, torch.bfloat16
RUN = 4096
"""Rows of half precision that are widened at a time."""
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integers as wide as a float of so many bytes."""


def to_float32(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Half precision as single, in which everything is computed; others as they are."""
    return values.float() if values.dtype in HALF else values


def row_norms(features: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Euclidean lengths of rows, however short or long they are.

    Raises:
        ProtocolError: if a row holds NaN or infinity, or is zero: it is near to nothing and far from nothing.
    """
    length = torch.cat([_lengths(to_float32(some)) for some in features.split(RUN)])
    _refuse(~length.isfinite() | (length == 0), "zero or not finite")
    return length


def _lengths(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """The largest number, times the length of the row that it divides: squares neither vanish nor overflow."""
    largest = rows.abs().amax(dim=1)
    length: Tensor = largest * (rows / largest.clamp_min(torch.finfo(rows.dtype).tiny)[:, None]).norm(dim=1)
    return length


def l2_normalize(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows divided by their Euclidean length (raises as :func:`row_norms`)."""
    return features / row_norms(features)[:, None]


def check_finite(features: Float[Tensor, "n d"]) -> None:
    """For rows that are compared as they are.

    Raises:
        ProtocolError: if a row holds NaN or infinity.
    """
    _refuse(~torch.cat([some.isfinite().all(dim=1) for some in features.split(RUN)]), "not finite")


def check_no_overflow(squared_lengths: Float[Tensor, " n"]) -> None:
    """For rows whose squared distances would be infinite.

    Raises:
        ProtocolError: if there are any.
    """
    bound = torch.finfo(squared_lengths.dtype).max / 4  # (‖x‖ + ‖y‖)² of two such
    _refuse(~(squared_lengths <= bound), f"too long for distances of {squared_lengths.dtype}")


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
        content = b"".join(c[row].contiguous().view(torch.uint8).cpu().numpy().tobytes() for c in columns)
        first[row] = seen.setdefault(content, row)
    return None if torch.equal(first, torch.arange(len(first))) else first
