"""Embeddings as distances are made of them: single precision is prepared once, half precision a run of rows at a time.

Half precision (float16, bfloat16) halves the memory of a gallery. Nothing is computed in it: rows are widened to single
precision while their distances are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from passerby.retrieval.distance.euclidean import HALF, RUN, check_finite, row_norms, to_float32

_LOOKED_AT = 1024
"""Rows that a center is taken of."""


@dataclass(frozen=True, eq=False)
class Rows:
    """v ÷ length − center of each stored row v, where there are lengths, and a center."""

    stored: Float[Tensor, "n d"]
    lengths: Float[Tensor, " n"] | None = None
    center: Float[Tensor, " d"] | None = None

    def prepared(self) -> Rows:
        """Made now, unless that would take more memory than the rows themselves."""
        return self if self.stored.dtype in HALF else Rows(self[:])

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice | Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        values = to_float32(self.stored[rows])
        if self.lengths is None:
            return values if self.center is None else values - self.center
        values = values / self.lengths[rows, None]
        return values if self.center is None else values.sub_(self.center)

    def runs(self, rows: slice) -> Iterator[slice]:
        """``rows`` in pieces to look at one by one; in one, where nothing needs widening."""
        first, last, _ = rows.indices(len(self))
        step = RUN if self.stored.dtype in HALF else max(1, last - first)
        return (slice(start, min(start + step, last)) for start in range(first, max(last, first + 1), step))


def prepare_rows(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, normalize: bool) -> tuple[Rows, Rows]:
    """Rows of length 1, or as they are, without what is common to ``y``.

    No distance between them changes, but fewer of its digits are lost: embeddings after a ReLU lie far from the origin
    and near each other, where ‖x‖² + ‖y‖² − 2 x·y cancels. What is taken off is the median of each dimension, over rows
    at even distances: it is one of the numbers there, so that differences of simple numbers stay exact, and a few long
    rows do not move it.

    Raises:
        ProtocolError: if a row holds NaN or infinity, or is zero and to be divided by its length.
    """
    of_y = _plain(y.detach(), normalize=normalize)
    of_x = of_y if x is y else _plain(x.detach(), normalize=normalize)
    if x.shape[1] != y.shape[1]:
        return of_x, of_y  # whoever compares them says so
    center = of_y[:: max(1, len(of_y) // _LOOKED_AT)].median(dim=0).values
    centerd = Rows(of_y.stored, of_y.lengths, center).prepared()
    return (centerd if x is y else Rows(of_x.stored, of_x.lengths, center).prepared()), centerd


def _plain(features: Float[Tensor, "n d"], *, normalize: bool) -> Rows:
    if normalize:
        return Rows(features, row_norms(features))
    check_finite(features)
    return Rows(features)
