"""Rows of unequal length: a sparse matrix by rows, and the few operations that re-ranking needs of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """Row i holds ``columns[starts[i]:starts[i + 1]]``, ascending, with their ``weights``."""

    starts: Int[Tensor, " m"]
    columns: Int[Tensor, " e"]
    weights: Float[Tensor, " e"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Int[Tensor, " n"]:
        return self.starts.diff()

    def below(self, row: int) -> Ragged:
        """Without the rows before ``row``."""
        first = int(self.starts[row])
        return Ragged(self.starts[row:] - first, self.columns[first:], self.weights[first:])

    def entries(self, rows: Int[Tensor, " m"]) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"]]:
        """Where the entries of ``rows`` stand, row after row, and to which of the m each belongs."""
        lengths = self.lengths[rows]
        owner = torch.arange(len(rows), device=rows.device).repeat_interleave(lengths)
        before = lengths.cumsum(0) - lengths
        position = torch.arange(len(owner), device=rows.device) + (self.starts[rows] - before)[owner]
        return position, owner


def starts_of(lengths: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Where rows of these lengths begin, and where the last one ends."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def ragged(columns: Int[Tensor, "n w"], there: Bool[Tensor, "n w"], weights: Float[Tensor, " e"]) -> Ragged:
    """Of a padded table the cells that are there; ``weights`` row by row."""
    return Ragged(starts_of(there.sum(1)), columns[there], weights)


def concatenated(parts: Sequence[Ragged]) -> Ragged:
    """One below the other."""
    lengths, columns, weights = ([getattr(p, name) for p in parts] for name in ("lengths", "columns", "weights"))
    return Ragged(starts_of(torch.cat(lengths)), torch.cat(columns), torch.cat(weights))


def transposed(matrix: Ragged, columns: int) -> Ragged:
    """By column, of which there are so many: each holds its rows, ascending."""
    order = matrix.columns.argsort(stable=True)
    row = torch.arange(len(matrix), device=order.device).repeat_interleave(matrix.lengths)
    lengths = torch.bincount(matrix.columns, minlength=columns)
    return Ragged(starts_of(lengths), row[order], matrix.weights[order])


def mean_of_rows(matrix: Ragged, rows: Int[Tensor, "m k"]) -> Ragged:
    """Row i is the mean of ``matrix``'s rows ``rows[i]``."""
    m, k = rows.shape
    position, owner = matrix.entries(rows.flatten())
    width = int(matrix.columns.max()) + 1 if len(matrix.columns) else 1
    cells, place = (owner // k * width + matrix.columns[position]).unique(return_inverse=True)
    sums = matrix.weights.new_zeros(len(cells)).index_add_(0, place, matrix.weights[position])
    return Ragged(starts_of(torch.bincount(cells // width, minlength=m)), cells % width, sums / k)
