"""Distances of one set of embeddings to another, in blocks or pairs: the full matrix is never needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError, UnknownNameError
from passerby.retrieval.distance.dmli import StripeDistance
from passerby.retrieval.distance.euclidean import (
    ALL,
    EuclideanDistance,
    PreparedColumns,
    first_copies,
    row_norms,
    to_float32,
)
from passerby.types import Embeddings

DistanceName = Literal["global", "local", "global_local"]
BLOCK_BYTES = 64 * 2**20
"""The memory that a block of distances may take."""
CELL_BYTES = 16
"""The memory that is needed beside each distance of a block: masks, indices, copies."""
_NORM_TOLERANCE = 0.02
"""The tolerated deviation of a stripe's norm from 1, which half precision needs."""
_PAIRS = 2**13
"""The number of pairs that are compared at a time."""
_SYMMETRIC = 512
"""The number of rows of a symmetric matrix that are compared with the columns from the first of them on."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A sum of distances of m rows to n columns; smaller is closer."""

    parts: tuple[EuclideanDistance | StripeDistance, ...]
    original: Int[Tensor, " n"] | None
    """The first equal column of each, where any are equal: their distances then agree to the last bit."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.parts[0].x), len(self.parts[0].y)

    @property
    def cell_bytes(self) -> int:
        """The memory that one distance takes while it is computed."""
        return self.like.element_size() * len(self.parts)

    @property
    def device(self) -> torch.device:
        return self.like.device

    @property
    def like(self) -> Tensor:
        """An empty tensor of the type that distances have."""
        return to_float32(self.parts[0].x[:0])

    def block(self, rows: Int[Tensor, " b"], columns: slice = ALL) -> Float[Tensor, "b c"]:
        """Return the distances of some rows to all columns, or to a run of them; the caller may overwrite them."""
        needed = columns if self.original is None else ALL
        distances = self.parts[0].block(rows, needed)
        for part in self.parts[1:]:
            distances += part.block(rows, needed)
        return distances if self.original is None else distances[:, self.original[columns]]

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Return the distance of each row to the column at the same place."""
        runs = zip(rows.split(_PAIRS), columns.split(_PAIRS), strict=True)
        return torch.cat([torch.stack([part.pairs(i, j) for part in self.parts]).sum(0) for i, j in runs])


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """A matrix of precomputed distances, with the interface of :class:`Comparison`."""

    matrix: Float[Tensor, "m n"]
    cell_bytes = 0

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.matrix), self.matrix.shape[1]

    @property
    def device(self) -> torch.device:
        return self.matrix.device

    def block(self, rows: Int[Tensor, " b"], columns: slice = ALL) -> Float[Tensor, "b c"]:
        """Return the distances of some rows to all columns, or to a run of them."""
        return self.matrix[rows][:, columns]

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Return the distance of each row to the column at the same place."""
        return self.matrix[rows, columns]


def full_matrix(among: Comparison) -> DistanceMatrix:
    """Return all distances among the same images, (n, n); each pair is compared in one direction and mirrored."""
    n = among.shape[0]
    images, uncopied = torch.arange(n, device=among.device), replace(among, original=None)
    matrix = among.like.new_empty(n, n)
    for first in range(0, n, _SYMMETRIC):
        last = min(first + _SYMMETRIC, n)
        matrix[first:last, first:] = uncopied.block(images[first:last], slice(first, None))
        matrix[last:, first:last] = matrix[first:last, last:].T
    return DistanceMatrix(matrix if among.original is None else matrix[:, among.original])


def row_blocks(
    rows: int, row_bytes: int, block_bytes: int, device: torch.device | None = None
) -> tuple[Int[Tensor, " b"], ...]:
    """Split the indices 0 … ``rows`` − 1 into runs of at most ``block_bytes``, or of one row."""
    return tuple(torch.arange(rows, device=device).split(max(1, block_bytes // row_bytes)))


def comparison_blocks(
    distances: Comparison | DistanceMatrix, block_bytes: int, *, rows: int | None = None
) -> tuple[Int[Tensor, " b"], ...]:
    """Split the first ``rows`` rows (default all) into runs whose distances to all columns fit ``block_bytes``."""
    m, n = distances.shape
    row_bytes = (distances.cell_bytes + CELL_BYTES) * n
    return row_blocks(m if rows is None else rows, row_bytes, block_bytes, distances.device)


def nearest(distances: Float[Tensor, "b n"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return each row's k smallest distances, ascending, and their columns; of equal ones the earlier column first.

    >>> nearest(torch.tensor([[3.0, 1.0, 2.0, 1.0]]), 2)[1].tolist()
    [[1, 3]]
    """
    # topk returns any of several equal values, in any order: rows with ties are sorted again
    wanted = min(k + 1, distances.shape[1])
    values, columns = distances.topk(wanted, dim=1, largest=False, sorted=True)
    tied = (values[:, 1:] == values[:, :-1]).any(1).nonzero().squeeze(1)
    values, columns = values[:, :k].contiguous(), columns[:, :k].contiguous()
    if len(tied):
        values[tied], columns[tied] = _nearest_with_ties(distances[tied], k)
    return values, columns


def _nearest_with_ties(distances: Float[Tensor, "b n"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return what :func:`nearest` does, by a stable sort of all that reach the k-th smallest value."""
    bound = distances.topk(k, dim=1, largest=False).values[:, -1:]
    rows, columns = (distances <= bound).nonzero(as_tuple=True)  # row by row, columns ascending
    values, order = distances[rows, columns].sort(stable=True)
    rows, columns = rows[order], columns[order]
    rows, order = rows.sort(stable=True)
    reached = torch.bincount(rows, minlength=len(distances))
    kept = (reached.cumsum(0) - reached)[:, None] + torch.arange(k, device=rows.device)
    return values[order][kept], columns[order][kept]


def compare_vectors(x: Float[Tensor, "m d"], y: Float[Tensor, "n e"], *, normalize: bool = True) -> Comparison:
    """Return the squared Euclidean distances of rows, L2-normalized by default; d = e.

    Rows of half precision stay in memory unconverted, and are compared in single precision.

    Raises:
        ProtocolError: if a row is not finite, or is zero and to be normalized.
        ShapeError: if the two sides differ in dimensions or dtype.
    """
    return Comparison((PreparedColumns.of(y, normalize=normalize).distances_of(x),), first_copies(y))


class PreparedGallery:
    """A gallery that is prepared for comparison once, at the first of any number of searches; its rows must not change.

    Distances are bit for bit those of the embeddings themselves; the normalized rows take as much memory again.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self.embeddings = embeddings
        self._columns: dict[bool, PreparedColumns] = {}
        self._stripes: Float[Tensor, "n s c"] | None = None
        self._originals: dict[str, Int[Tensor, " n"] | None] = {}

    @classmethod
    def of(cls, gallery: Embeddings | PreparedGallery) -> PreparedGallery:
        """Return a gallery as it is prepared, or ready to be."""
        return gallery if isinstance(gallery, PreparedGallery) else cls(gallery)

    def __len__(self) -> int:
        return len(self.embeddings)

    def columns(self, *, normalize: bool) -> PreparedColumns:
        """Return the side of Euclidean distances."""
        if normalize not in self._columns:
            self._columns[normalize] = PreparedColumns.of(self.embeddings.embedding, normalize=normalize)
        return self._columns[normalize]

    def stripes(self, distance: str) -> Float[Tensor, "n s c"]:
        """Return the side of distances of stripes."""
        if self._stripes is None:
            stripes = _stripes_of(self.embeddings, distance).detach()
            row_norms(stripes.flatten(1))  # raises for zero, NaN and infinity
            _check_unit_norm(to_float32(stripes).norm(dim=2), "the gallery")
            self._stripes = stripes
        return self._stripes

    def originals(self, distance: str) -> Int[Tensor, " n"] | None:
        """Return the first row that equals each in all that a distance compares (:func:`first_copies`)."""
        if distance not in self._originals:
            embedding = None if distance == "local" else self.embeddings.embedding
            local = None if distance == "global" else self.embeddings.local
            self._originals[distance] = first_copies(*(rows for rows in (embedding, local) if rows is not None))
        return self._originals[distance]


def compare(query: Embeddings, gallery: Embeddings | PreparedGallery, distance: str, *, normalize: bool) -> Comparison:
    """Return the distances of embeddings by one of the names of ``DistanceName``.

    Raises:
        ProtocolError: if a side is empty, lacks the stripes that the distance needs, or holds a row without direction.
        ShapeError: if the two sides come from different models.
        UnknownNameError: if there is no distance of that name.
    """
    if distance not in get_args(DistanceName):
        raise UnknownNameError("distance", distance, get_args(DistanceName))
    if not len(query) or not len(gallery):
        raise ProtocolError(f"ranking needs both sides, got {len(query)} queries and {len(gallery)} gallery images")
    prepared = PreparedGallery.of(gallery)
    parts: list[EuclideanDistance | StripeDistance] = []
    if distance != "local":
        parts.append(prepared.columns(normalize=normalize).distances_of(query.embedding))
    if distance != "global":
        parts.append(_stripe_distance(query, prepared, distance))
    return Comparison(tuple(parts), prepared.originals(distance))


def compare_union(query: Embeddings, gallery: Embeddings, distance: str, *, normalize: bool) -> Comparison:
    """Return the distances among the images of both sides, queries first.

    Raises:
        as :func:`compare`.
    """
    compare(query, gallery, distance, normalize=normalize)  # raises an error that names the side
    local = None if query.local is None or gallery.local is None else torch.cat([query.local, gallery.local])
    union = Embeddings(torch.cat([query.embedding, gallery.embedding]), query.paths + gallery.paths, local=local)
    return compare(union, union, distance, normalize=normalize)


def _stripe_distance(query: Embeddings, gallery: PreparedGallery, name: str) -> StripeDistance:
    x, y = _stripes_of(query, name), _stripes_of(gallery.embeddings, name)
    if x.shape[1:] != y.shape[1:] or to_float32(x[:0]).dtype != to_float32(y[:0]).dtype:
        raise ShapeError(
            f"queries have stripes {tuple(x.shape[1:])} of {x.dtype}, the gallery {tuple(y.shape[1:])} of {y.dtype}: "
            "they come from different models. Fix: embed both with the same one"
        )
    row_norms(x.flatten(1))  # raises for zero, NaN and infinity
    columns = gallery.stripes(name)
    _check_unit_norm(to_float32(x.detach()).norm(dim=2), "queries")
    return StripeDistance(x.detach(), columns)


def _stripes_of(embeddings: Embeddings, distance: str) -> Float[Tensor, "n s c"]:
    if embeddings.local is None:
        raise ProtocolError(
            f"distance {distance!r} needs stripe vectors, which these embeddings lack. "
            "Fix: embed again with stripe vectors (with_local=True), with a model that has them"
        )
    return embeddings.local


def _check_unit_norm(norms: Float[Tensor, "n s"], which: str) -> None:
    """Check that stripes are L2-normalized, as DMLI assumes."""
    if (norms - 1).abs().max() > _NORM_TOLERANCE:
        raise ProtocolError(
            f"stripes are compared as L2-normalized vectors, but those of {which} have norms of "
            f"{norms.min():.3g} to {norms.max():.3g}. Fix: divide each by its norm"
        )
