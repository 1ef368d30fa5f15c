"""A sparse matrix stored by rows, and the few operations that re-ranking needs of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A matrix whose row i has the ``columns[starts[i]:starts[i + 1]]``, ascending, with their ``weights``."""

    starts: Int[Tensor, " m"]
    columns: Int[Tensor, " e"]
    weights: Float[Tensor, " e"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Int[Tensor, " n"]:
        """The number of entries of each row."""
        return self.starts.diff()

    def from_row(self, row: int) -> SparseRows:
        """Return the matrix from ``row`` on."""
        first = int(self.starts[row])
        return SparseRows(self.starts[row:] - first, self.columns[first:], self.weights[first:])

    def entries(self, rows: Int[Tensor, " m"]) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"]]:
        """Return the positions of the entries of ``rows``, row after row, and to which of the m each belongs."""
        lengths = self.lengths[rows]
        owner = torch.arange(len(rows), device=rows.device).repeat_interleave(lengths)
        before = lengths.cumsum(0) - lengths
        position = torch.arange(len(owner), device=rows.device) + (self.starts[rows] - before)[owner]
        return position, owner


def _starts(lengths: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Return where rows of these lengths begin, and where the last one ends."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def from_table(columns: Int[Tensor, "n w"], kept: Bool[Tensor, "n w"], weights: Float[Tensor, " e"]) -> SparseRows:
    """Return the ``kept`` cells of a padded table of columns; ``weights`` are given row by row."""
    return SparseRows(_starts(kept.sum(1)), columns[kept], weights)


def concatenate(parts: Sequence[SparseRows]) -> SparseRows:
    """Return the rows of all parts, one part below the other."""
    lengths, columns, weights = ([getattr(p, name) for p in parts] for name in ("lengths", "columns", "weights"))
    return SparseRows(_starts(torch.cat(lengths)), torch.cat(columns), torch.cat(weights))


def transpose(matrix: SparseRows, columns: int) -> SparseRows:
    """Return the transpose of a matrix of so many columns: each of them holds its rows, ascending."""
    order = matrix.columns.argsort(stable=True)
    row = torch.arange(len(matrix), device=order.device).repeat_interleave(matrix.lengths)
    lengths = torch.bincount(matrix.columns, minlength=columns)
    return SparseRows(_starts(lengths), row[order], matrix.weights[order])


def mean_of_rows(matrix: SparseRows, rows: Int[Tensor, "m k"]) -> SparseRows:
    """Return a matrix whose row i is the mean of the rows ``rows[i]``."""
    m, k = rows.shape
    position, owner = matrix.entries(rows.flatten())
    width = int(matrix.columns.max()) + 1 if len(matrix.columns) else 1
    cells, place = (owner // k * width + matrix.columns[position]).unique(return_inverse=True)
    sums = matrix.weights.new_zeros(len(cells)).index_add_(0, place, matrix.weights[position])
    return SparseRows(_starts(torch.bincount(cells // width, minlength=m)), cells % width, sums / k)
