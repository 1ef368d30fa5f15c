"""Squared Euclidean distances between embeddings. Smaller is closer; dtype and device follow the input.

Half precision (float16, bfloat16) halves the memory of a gallery. Nothing is computed in it: rows are converted to
single precision, a run of rows at a time, while their distances are computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError

HALF = torch.float16, torch.bfloat16
RUN = 4096
"""The number of half-precision rows that are converted at a time."""
ALL = slice(None)
_CENTER_SAMPLES = 1024
"""The number of rows that a center is computed from."""
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integer type of the same width as a float of so many bytes."""


def to_float32(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return half precision as single, in which everything is computed; other types unchanged."""
    return values.float() if values.dtype in HALF else values


def row_norms(embedding: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return the Euclidean norm of each row, without underflow or overflow.

    Raises:
        ProtocolError: if a row holds NaN or infinity, or is zero: it has no direction to compare.
    """
    norms = _row_by_row(embedding, _stable_norms)
    _check_rows(~norms.isfinite() | (norms == 0), "zero or not finite")
    return norms


def _row_by_row(rows: Tensor | PreparedRows, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a function of each row, computed in runs of :data:`RUN`, whose temporaries are small."""
    first = function(rows[:RUN])
    values = torch.empty(len(rows), dtype=first.dtype, device=first.device)
    values[:RUN] = first
    for start in range(RUN, len(rows), RUN):
        values[start : start + RUN] = function(rows[start : start + RUN])
    return values


def _stable_norms(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return max |x| · ‖x / max |x|‖ of each row: the squares neither vanish nor overflow."""
    rows = to_float32(rows)
    largest = rows.abs().amax(dim=1)
    norms: Tensor = largest * (rows / largest.clamp_min(torch.finfo(rows.dtype).tiny)[:, None]).norm(dim=1)
    return norms


def l2_normalize(embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return the rows divided by their Euclidean norm (raises as :func:`row_norms`)."""
    return embedding / row_norms(embedding)[:, None]


def check_finite(embedding: Float[Tensor, "n d"]) -> None:
    """Check rows that are compared without normalization.

    Raises:
        ProtocolError: if a row holds NaN or infinity.
    """
    _check_rows(~_row_by_row(embedding, lambda run: run.isfinite().all(dim=1)), "not finite")


def check_no_overflow(squared_norms: Float[Tensor, " n"]) -> None:
    """Check that no squared distance between rows of these squared norms is infinite.

    Raises:
        ProtocolError: if one would be.
    """
    bound = torch.finfo(squared_norms.dtype).max / 4  # (‖x‖ + ‖y‖)² of two such rows
    _check_rows(~(squared_norms <= bound), f"too long for distances of {squared_norms.dtype}")


def check_no_underflow(largest: float, dtype: torch.dtype) -> None:
    """Check that the squares of differences are not lost below the smallest numbers.

    Args:
        largest: the largest difference of any coordinate from its center; 0 where all rows are equal.

    Raises:
        ProtocolError: if the squares would be.
    """
    info = torch.finfo(dtype)
    if 0 < largest < math.sqrt(info.tiny / info.eps):
        raise ProtocolError(
            f"the embeddings are too short for distances of {dtype}: they differ by at most {largest:.3g}, whose "
            "square is lost. Fix: L2-normalize them (--normalize), or multiply them by a constant"
        )


def _check_rows(bad: Bool[Tensor, " n"], what: str) -> None:
    if bad.any():
        rows = bad.nonzero().squeeze(1).tolist()
        raise ProtocolError(
            f"{len(rows)} of {len(bad)} embeddings are {what} (rows {str(rows[:5])[1:-1]}). "
            "Fix: check the images, and the model that embedded them"
        )


def squared_euclidean(
    x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, y_squared_norms: Float[Tensor, " n"] | None = None
) -> Float[Tensor, "m n"]:
    """Return ‖x‖² + ‖y‖² − 2 x·y of all pairs, not below 0; d = e.

    Args:
        y_squared_norms: ‖y‖², if already computed.

    Raises:
        ShapeError: if the dimensions or dtypes differ.
    """
    if x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"queries have {x.shape[1]} dimensions, the gallery {y.shape[1]}: they come from different models. "
            "Fix: embed both with the same one"
        )
    if x.dtype != y.dtype:
        raise ShapeError(f"queries are {x.dtype}, the gallery {y.dtype}. Fix: convert one of them")
    norms = x.pow(2).sum(1)[:, None] + (y.pow(2).sum(1) if y_squared_norms is None else y_squared_norms)
    distances: Tensor = torch.addmm(norms, x, y.T, alpha=-2).clamp_min_(0)
    return distances


def first_copies(*columns: Float[Tensor, "n ..."]) -> Int[Tensor, " n"] | None:
    """Return, for each row, the first row that is bitwise equal to it in all columns; ``None`` if all rows differ.

    A matrix product rounds by position, so the distances of two copies differ in the last bit. Taking
    both from the first copy makes them a tie.
    """
    # bit patterns summed as integers are exact in any order: unequal sums, unequal rows
    sums = sum((_bit_sums(c.flatten(1)) for c in columns), torch.tensor(0)).cpu()
    _, group, size = sums.unique(return_inverse=True, return_counts=True)
    first = torch.arange(len(sums))
    known: dict[bytes, int] = {}
    for row in (size[group] > 1).nonzero().squeeze(1).tolist():
        content = b"".join(c[row].contiguous().view(torch.uint8).cpu().numpy().tobytes() for c in columns)
        first[row] = known.setdefault(content, row)
    return None if torch.equal(first, torch.arange(len(first))) else first


def _bit_sums(rows: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
    return _row_by_row(rows.view(_BITS[rows.element_size()]), lambda run: run.sum(1))


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """The rows v ÷ norm − center, computed from each stored row v, where there are norms and a center."""

    stored: Float[Tensor, "n d"]
    norms: Float[Tensor, " n"] | None = None
    center: Float[Tensor, " d"] | None = None

    def materialize(self) -> PreparedRows:
        """Return the rows computed once, unless that would take more memory than the stored rows (half precision)."""
        return self if self.stored.dtype in HALF else PreparedRows(self[:])

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice | Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        values = to_float32(self.stored[rows])
        if self.norms is None:
            return values if self.center is None else values - self.center
        values = values / self.norms[rows, None]
        return values if self.center is None else values.sub_(self.center)

    @cached_property
    def squared_norms(self) -> Float[Tensor, " n"]:
        """The squared norm of each row."""
        return _row_by_row(self, lambda run: run.pow(2).sum(1))

    @cached_property
    def largest(self) -> float:
        """The largest absolute value."""
        return _row_by_row(self, lambda run: run.abs().amax(1)).max().item()

    def runs(self, rows: slice) -> Iterator[slice]:
        """Split ``rows`` into runs of :data:`RUN`; one run where nothing needs conversion."""
        first, last, _ = rows.indices(len(self))
        step = RUN if self.stored.dtype in HALF else max(1, last - first)
        return (slice(start, min(start + step, last)) for start in range(first, max(last, first + 1), step))


@dataclass(frozen=True, eq=False)
class PreparedColumns:
    """One side of distances, L2-normalized if asked for, minus its center: prepared once for any number of other sides.

    Subtracting a center changes no distance, but keeps more of its digits: embeddings after a ReLU lie far from the
    origin and near each other, where ‖x‖² + ‖y‖² − 2 x·y cancels. The center is the median of each dimension, over
    evenly spaced rows: it is one of the values, so that differences of simple numbers stay exact, and a few long
    rows do not move it.
    """

    given: Float[Tensor, "n d"]
    rows: PreparedRows
    center: Float[Tensor, " d"]
    normalize: bool

    @classmethod
    def of(cls, y: Float[Tensor, "n d"], *, normalize: bool) -> PreparedColumns:
        """Prepare a side.

        Raises:
            ProtocolError: if a row holds NaN or infinity, or is zero and to be normalized.
        """
        rows = _checked_rows(y.detach(), normalize=normalize)
        center = _medians(rows[:: max(1, len(rows) // _CENTER_SAMPLES)])
        return cls(y, PreparedRows(rows.stored, rows.norms, center).materialize(), center, normalize)

    def distances_of(self, x: Float[Tensor, "m e"]) -> EuclideanDistance:
        """Return the distances of rows to this side.

        Raises:
            ProtocolError: as :meth:`of`, of the rows of ``x``.
            ShapeError: if the two sides differ in dimensions or dtype.
        """
        if x is self.given:
            return EuclideanDistance(self.rows, self.rows)
        rows = _checked_rows(x.detach(), normalize=self.normalize)
        squared_euclidean(rows[:0], self.rows[:0])  # raises if dimensions or dtypes differ
        return EuclideanDistance(PreparedRows(rows.stored, rows.norms, self.center).materialize(), self.rows)


def _medians(rows: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return the median of each dimension, of an even number of values the lower one."""
    if rows.is_cuda or not len(rows):
        return rows.median(dim=0).values
    middle = (len(rows) - 1) // 2  # NumPy's partition takes a fifth of the time
    return torch.from_numpy(np.partition(rows.T.cpu().numpy(), middle, axis=1)[:, middle].copy())


def _checked_rows(embedding: Float[Tensor, "n d"], *, normalize: bool) -> PreparedRows:
    if normalize:
        return PreparedRows(embedding, row_norms(embedding))
    check_finite(embedding)
    return PreparedRows(embedding)


class EuclideanDistance:
    """The squared Euclidean distances of rows of ``x`` to rows of ``y``; where both are the same, a diagonal of 0."""

    def __init__(self, x: PreparedRows, y: PreparedRows) -> None:
        self.x, self.y = x, y
        self.squared_norms = y.squared_norms
        sides = [y.squared_norms] if x is y else [y.squared_norms, x.squared_norms]
        for norms in sides:
            check_no_overflow(norms)
        if all(len(norms) and norms.max() < torch.finfo(norms.dtype).eps for norms in sides):
            check_no_underflow(max(x.largest, y.largest), self.squared_norms.dtype)

    def block(self, rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
        """Return the distances of some rows to a run of columns."""
        x = self.x[rows]
        runs = [
            squared_euclidean(x, self.y[run], y_squared_norms=self.squared_norms[run]) for run in self.y.runs(columns)
        ]
        distances = runs[0] if len(runs) == 1 else torch.cat(runs, dim=1)
        return _zero_diagonal(distances, rows, columns) if self.x is self.y else distances

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Return the distance of each row to the column at the same place."""
        return (self.x[rows] - self.y[columns]).pow_(2).sum(1)


def _zero_diagonal(distances: Float[Tensor, "b c"], rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
    """Set an image's distance to itself to 0, instead of what rounding leaves of it."""
    own = rows - (columns.start or 0)
    inside = ((own >= 0) & (own < distances.shape[1])).nonzero().squeeze(1)
    distances[inside, own[inside]] = 0
    return distances
