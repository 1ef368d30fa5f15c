"""Squared distances among the rows of one set, a block or some pairs at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.retrieval.distance import first_copies, squared_euclidean

_PAIRS = 2**13
"""Rows laid beside each other at a time."""


@dataclass(frozen=True, eq=False)
class Features:
    """Distances of rows that are compared when they are asked for."""

    features: Float[Tensor, "n d"]
    original: Int[Tensor, " n"] | None
    """Of each row the first that equals it, where any does: their distances then agree to the last bit."""

    def __len__(self) -> int:
        return len(self.features)

    def block(self, rows: Int[Tensor, " b"], columns: slice = slice(None)) -> Float[Tensor, "b m"]:
        """Of some rows to all, or to some columns; the caller may overwrite it."""
        among = torch.arange(len(self), device=rows.device)[columns]
        if self.original is None:
            distances = squared_euclidean(self.features[rows], self.features[columns])
        else:
            distances = squared_euclidean(self.features[rows], self.features)[:, self.original[among]]
        own = rows - among[0]
        inside = ((own >= 0) & (own < len(among))).nonzero().squeeze(1)
        distances[inside, own[inside]] = 0  # not what rounding leaves of it
        return distances

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Of each row to the column beside it."""
        parts = zip(rows.split(_PAIRS), columns.split(_PAIRS), strict=True)
        return torch.cat([(self.features[i] - self.features[j]).pow_(2).sum(1) for i, j in parts])


@dataclass(frozen=True, eq=False)
class Given:
    """Distances that somebody else made."""

    matrix: Float[Tensor, "n n"]

    def __len__(self) -> int:
        return len(self.matrix)

    def block(self, rows: Int[Tensor, " b"], columns: slice = slice(None)) -> Float[Tensor, "b m"]:
        return self.matrix[rows][:, columns]

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        return self.matrix[rows, columns]


Among = Features | Given


def features(rows: Float[Tensor, "n d"]) -> Features:
    """Of rows as they are."""
    return Features(rows, first_copies(rows))
