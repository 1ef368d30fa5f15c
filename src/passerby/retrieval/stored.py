"""Embeddings as distances are made of them: single precision is prepared once, half precision a run of rows at a time.

Half precision (float16, bfloat16) halves the memory of a gallery. Nothing is computed in it: rows are widened to single
precision while their distances are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from passerby.retrieval.distance import HALF, RUN, lengths_of, mean_of, widened


@dataclass(frozen=True, eq=False)
class Rows:
    """(v − mean) ÷ length of each stored row v, where there is a mean, and a length."""

    stored: Float[Tensor, "n d"]
    mean: Float[Tensor, " d"] | None = None
    lengths: Float[Tensor, " n"] | None = None

    @classmethod
    def of(
        cls,
        stored: Float[Tensor, "n d"],
        *,
        mean: Float[Tensor, " d"] | None = None,
        lengths: Float[Tensor, " n"] | None = None,
    ) -> Rows:
        """Prepared now, unless that would take more memory than the rows themselves."""
        rows = cls(stored, mean, lengths)
        return rows if stored.dtype in HALF else cls(rows[:])

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice | Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        values = widened(self.stored[rows])
        if self.mean is not None:
            values = values - self.mean
        return values if self.lengths is None else values / self.lengths[rows, None]

    def runs(self, rows: slice) -> Iterator[slice]:
        """``rows`` in pieces to look at one by one; in one, where nothing needs widening."""
        first, last, _ = rows.indices(len(self))
        step = RUN if self.stored.dtype in HALF else max(1, last - first)
        return (slice(start, min(start + step, last)) for start in range(first, max(last, first + 1), step))


def unit_rows(features: Float[Tensor, "n d"]) -> Rows:
    """Rows divided by their Euclidean length.

    Raises:
        ProtocolError: if one holds NaN or infinity, or is zero.
    """
    return Rows.of(features, lengths=lengths_of(features))


def centred_rows(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"]) -> tuple[Rows, Rows]:
    """Both without the mean of ``y``: no distance between them changes, but fewer of its digits are lost.

    Embeddings after a ReLU lie far from the origin and near each other, where ‖x‖² + ‖y‖² − 2 x·y cancels.

    Raises:
        ProtocolError: if a row holds NaN or infinity.
    """
    mean_of(x)  # says what is not finite
    mean = mean_of(y)
    of_y = Rows.of(y, mean=mean)
    return (of_y if x is y else Rows.of(x, mean=mean if x.shape[1] == y.shape[1] else None)), of_y
