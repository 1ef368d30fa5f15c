"""Distances of one set of embeddings to another, a block or some pairs at a time: no matrix of all need stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError, UnknownNameError
from passerby.retrieval.distance.blocks import CELL_BYTES, row_blocks
from passerby.retrieval.distance.dmli import dmli, dmli_pairs
from passerby.retrieval.distance.euclidean import (
    check_no_overflow,
    first_copies,
    row_norms,
    squared_euclidean,
    to_float32,
)
from passerby.retrieval.distance.stored import Rows, prepare_rows
from passerby.types import Embeddings

DistanceName = Literal["global", "local", "global_local"]
_EVERYTHING = slice(None)
_TILE = 32, 64
"""Images by images whose stripes are aligned at a time."""
_ROUNDING = 0.02
_PAIRS = 2**13
"""Rows laid beside each other at a time."""
_SYMMETRIC = 512
"""Rows of a matrix among the same pictures that are compared with those from the first of them on."""


class EuclideanDistance:
    """Squared, of rows of ``x`` to rows of ``y``; where both are the same, a row is at 0 from itself."""

    def __init__(self, x: Rows, y: Rows) -> None:
        self.x, self.y = x, y
        self.lengths = _squared_lengths(y)
        for lengths in (self.lengths, *(() if x is y else (_squared_lengths(x),))):
            check_no_overflow(lengths)

    def block(self, rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
        x = self.x[rows]
        runs = [squared_euclidean(x, self.y[run], lengths=self.lengths[run]) for run in self.y.runs(columns)]
        distances = runs[0] if len(runs) == 1 else torch.cat(runs, dim=1)
        return _with_zeros(distances, rows, columns) if self.x is self.y else distances

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        return (self.x[rows] - self.y[columns]).pow_(2).sum(1)


def _squared_lengths(rows: Rows) -> Float[Tensor, " n"]:
    return torch.cat([rows[run].pow(2).sum(1) for run in rows.runs(_EVERYTHING)])


def _with_zeros(distances: Float[Tensor, "b c"], rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
    """Zero, not what rounding leaves of it, where a picture meets itself."""
    own = rows - (columns.start or 0)
    inside = ((own >= 0) & (own < distances.shape[1])).nonzero().squeeze(1)
    distances[inside, own[inside]] = 0
    return distances


class StripeDistance:
    """DMLI, of stripes of ``x`` to stripes of ``y``."""

    def __init__(self, x: Float[Tensor, "m s c"], y: Float[Tensor, "n s c"]) -> None:
        self.x, self.y = x, y

    def block(self, rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
        """In tiles whose matrices of stripes by stripes stay in a processor's cache."""
        x, y = self.x[rows].split(_TILE[0]), self.y[columns].split(_TILE[1])
        return torch.cat([torch.cat([dmli(to_float32(i), to_float32(j)) for j in y], dim=1) for i in x])

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        return dmli_pairs(to_float32(self.x[rows]), to_float32(self.y[columns]))


@dataclass(frozen=True, eq=False)
class Comparison:
    """A sum of distances of m rows to n columns; smaller is closer."""

    parts: tuple[EuclideanDistance | StripeDistance, ...]
    original: Int[Tensor, " n"] | None
    """Of each column the first that equals it, where any does: their distances then agree to the last bit."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.parts[0].x), len(self.parts[0].y)

    @property
    def cell_bytes(self) -> int:
        """What a distance takes while it is made."""
        return self.like.element_size() * len(self.parts)

    @property
    def device(self) -> torch.device:
        return self.like.device

    @property
    def like(self) -> Tensor:
        """Nothing, of the type that distances have."""
        return to_float32(self.parts[0].x[:0])

    def block(self, rows: Int[Tensor, " b"], columns: slice = _EVERYTHING) -> Float[Tensor, "b c"]:
        """Of some rows to all columns, or to a run of them; the caller may overwrite it."""
        needed = columns if self.original is None else _EVERYTHING
        distances = self.parts[0].block(rows, needed)
        for part in self.parts[1:]:
            distances += part.block(rows, needed)
        return distances if self.original is None else distances[:, self.original[columns]]

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Of each row to the column beside it."""
        some = zip(rows.split(_PAIRS), columns.split(_PAIRS), strict=True)
        return torch.cat([torch.stack([part.pairs(i, j) for part in self.parts]).sum(0) for i, j in some])


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """Distances that were made before."""

    matrix: Float[Tensor, "m n"]
    cell_bytes = 0

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.matrix), self.matrix.shape[1]

    @property
    def device(self) -> torch.device:
        return self.matrix.device

    def block(self, rows: Int[Tensor, " b"], columns: slice = _EVERYTHING) -> Float[Tensor, "b c"]:
        return self.matrix[rows][:, columns]

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        return self.matrix[rows, columns]


def full_matrix(among: Comparison) -> DistanceMatrix:
    """All distances among the same pictures, (n, n): each pair is compared in one direction and mirrored."""
    n = among.shape[0]
    pictures, directly = torch.arange(n, device=among.device), replace(among, original=None)
    whole = among.like.new_empty(n, n)
    for first in range(0, n, _SYMMETRIC):
        last = min(first + _SYMMETRIC, n)
        whole[first:last, first:] = directly.block(pictures[first:last], slice(first, None))
        whole[last:, first:last] = whole[first:last, last:].T
    return DistanceMatrix(whole if among.original is None else whole[:, among.original])


def comparison_blocks(
    among: Comparison | DistanceMatrix, block_bytes: int, *, rows: int | None = None
) -> tuple[Int[Tensor, " b"], ...]:
    """The first ``rows`` rows (all) in runs whose distances fit, with what is laid beside them."""
    m, n = among.shape
    return row_blocks(m if rows is None else rows, (among.cell_bytes + CELL_BYTES) * n, block_bytes, among.device)


def compare_vectors(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, normalize: bool = True) -> Comparison:
    """Squared Euclidean distances of rows, which are first divided by their length; d = e.

    Rows of half precision stay as they are, and are computed with in single.

    Raises:
        ProtocolError: if a row is not finite, or is zero and to be divided by its length.
        ShapeError: if the two sides differ in dimensions or dtype.
    """
    return Comparison((_euclidean(x, y, normalize=normalize),), first_copies(y))


def compare(query: Embeddings, gallery: Embeddings, distance: str, *, normalize: bool) -> Comparison:
    """Distances of embeddings by one of the names of ``DistanceName``.

    Raises:
        ProtocolError: if a side is empty, lacks the stripes that the distance needs, or holds what is near to nothing.
        ShapeError: if the two sides come from different models.
        UnknownNameError: if there is no distance of that name.
    """
    if distance not in get_args(DistanceName):
        raise UnknownNameError("distance", distance, get_args(DistanceName))
    if not len(query) or not len(gallery):
        raise ProtocolError(f"ranking needs both sides, got {len(query)} queries and {len(gallery)} gallery images")
    parts: list[EuclideanDistance | StripeDistance] = []
    columns = []
    if distance != "local":
        parts.append(_euclidean(query.embedding, gallery.embedding, normalize=normalize))
        columns.append(gallery.embedding)
    if distance != "global":
        x, y = _stripes(query, gallery, distance)
        parts.append(StripeDistance(x, y))
        columns.append(y)
    return Comparison(tuple(parts), first_copies(*columns))


def compare_union(query: Embeddings, gallery: Embeddings, distance: str, *, normalize: bool) -> Comparison:
    """Distances among the pictures of both sides, queries first.

    Raises:
        as :func:`compare`.
    """
    compare(query, gallery, distance, normalize=normalize)  # says what cannot be
    local = None if query.local is None or gallery.local is None else torch.cat([query.local, gallery.local])
    union = Embeddings(torch.cat([query.embedding, gallery.embedding]), query.paths + gallery.paths, local=local)
    return compare(union, union, distance, normalize=normalize)


def _euclidean(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, normalize: bool) -> EuclideanDistance:
    q, g = prepare_rows(x, y, normalize=normalize)
    squared_euclidean(q[:0], g[:0])  # says what differs
    return EuclideanDistance(q, g)


def _stripes(query: Embeddings, gallery: Embeddings, name: str) -> tuple[Tensor, Tensor]:
    x, y = query.local, gallery.local
    if x is None or y is None:
        raise ProtocolError(
            f"distance {name!r} needs stripe vectors, which these embeddings lack; "
            "embed again with them, with a model that makes them"
        )
    if x.shape[1:] != y.shape[1:] or to_float32(x[:0]).dtype != to_float32(y[:0]).dtype:
        raise ShapeError(
            f"queries have stripes {tuple(x.shape[1:])} of {x.dtype}, the gallery {tuple(y.shape[1:])} of {y.dtype}: "
            "they come from different models; embed both with the same one"
        )
    for side in (x, y):
        row_norms(side.flatten(1))  # says what is near to nothing
    for side, which in ((x, "queries"), (y, "the gallery")):
        _refuse_unequal(to_float32(side.detach()).norm(dim=2), which)
    return x.detach(), y.detach()


def _refuse_unequal(lengths: Float[Tensor, "n s"], which: str) -> None:
    """DMLI is of stripes of length 1; so much is forgiven as half precision rounds."""
    if (lengths - 1).abs().max() > _ROUNDING:
        raise ProtocolError(
            f"stripes are compared as vectors of length 1, but those of {which} have lengths of "
            f"{lengths.min():.3g} to {lengths.max():.3g}: divide each by its length"
        )
