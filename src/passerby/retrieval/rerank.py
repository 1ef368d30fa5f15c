"""Re-ranking by k-reciprocal neighbors (Zhong, Zheng, Cao, Li, CVPR 2017).

Over the union of query and gallery, N pictures, D their squared Euclidean distances, each row divided by
its own maximum:

============================================================  ==================================
N(p, k), the k nearest; p itself is the first of k + 1         :func:`~passerby.retrieval.distance.nearest.nearest`
R(p, k) = {g in N(p, k) : p in N(g, k)} (Eq 2)                  :func:`_mutual`
R*(p, k1): with R(q, k1/2) of each q in R(p, k1) of which       :func:`_expanded`
more than 2/3 lies in R(p, k1) (Eq 3)
V_p = exp(−D(p, ·)) on R*(p, k1), summing to 1 (Eq 7)          :func:`_encoded`
V_p = mean of V over N(p, k2) (Eq 11)                          :func:`~passerby.retrieval.ragged.mean_of_rows`
d_J = 1 − Σ min(V_p, V_g) / Σ max(V_p, V_g) (Eq 10)            :meth:`KReciprocal.jaccard`
d* = (1 − λ) d_J + λ D (Eq 12)                                 :meth:`KReciprocal.distances`
============================================================  ==================================

As in the authors' code, k + 1 nearest are taken (a picture is its own first), k1/2 is rounded half to
even, and the weights sum to 1, so Σ max = 2 − Σ min. torchreid and fast-reid square D once more, since
they hand over what is squared already: ``torchreid_compat`` does as they do.

The encodings are sparse (k1 neighbors and theirs, not N columns), and distances are looked at in blocks
and dropped: neither N × N distances (unless four times ``block_bytes`` hold them: each is then made but once)
nor their order nor N × N encodings ever stand. Beside ``block_bytes``
the memory is that of the encodings, about a hundred entries a picture, N k1² k2 / 2 at worst. The time is
O(N² d) for the distances, by far the most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.retrieval.distance.blocks import BLOCK_BYTES, CELL_BYTES, row_blocks
from passerby.retrieval.distance.compare import (
    Comparison,
    DistanceMatrix,
    compare_vectors,
    comparison_blocks,
    full_matrix,
)
from passerby.retrieval.distance.euclidean import squared_euclidean, to_float32
from passerby.retrieval.distance.nearest import nearest
from passerby.retrieval.ragged import Ragged, concatenated, mean_of_rows, ragged, transposed
from passerby.types import Rerank

Among = Comparison | DistanceMatrix
Progress = Callable[[int], object]
_ALL_WITH_ALL = 4
"""As many times ``block_bytes`` while all pictures are compared with all: products of few rows are slow."""


@dataclass(frozen=True, eq=False)
class KReciprocal:
    """What re-ranking knows of N pictures, the first ``queries`` of which ask for the others."""

    among: Among
    queries: int
    farthest: Float[Tensor, " n"]
    """Each row's largest distance."""
    encodings: Ragged
    """V, ``(N, N)``."""
    by_column: Ragged
    """V of the gallery, by column."""
    how: Rerank
    block_bytes: int

    def jaccard(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b g"]:
        """Of some queries to the whole gallery, in [0, 1]."""
        gallery = self.among.shape[0] - self.queries
        shared = self.encodings.weights.new_zeros(len(rows) * gallery)
        entries, owner = self.encodings.entries(rows)
        for some in _within(self.by_column.lengths[self.encodings.columns[entries]], self.block_bytes // 64):
            column, weight = (x[entries[some]] for x in (self.encodings.columns, self.encodings.weights))
            met, place = self.by_column.entries(column)
            cell = owner[some][place] * gallery + self.by_column.columns[met]
            shared.index_add_(0, cell, torch.minimum(weight[place], self.by_column.weights[met]))
        shared = shared.view(len(rows), gallery)
        return 1 - shared / (2 - shared)

    def distances(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b g"]:
        """d* of some queries to the whole gallery; smaller is closer."""
        own = self.among.block(rows, slice(self.queries, None)) / self.farthest[rows][:, None]
        return self.how.lam * _squared(own, self.how) + (1 - self.how.lam) * self.jaccard(rows)

    def blocks(self) -> Iterator[tuple[Int[Tensor, " b"], Float[Tensor, "b g"]]]:
        """Query rows and their distances, ``block_bytes`` at a time."""
        for rows in comparison_blocks(self.among, self.block_bytes, rows=self.queries):
            yield rows, self.distances(rows)


def k_reciprocal(
    query: Float[Tensor, "q d"],
    gallery: Float[Tensor, "g e"],
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
    *,
    normalize: bool = True,
    torchreid_compat: bool = False,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> Float[Tensor, "q g"]:
    """Distances of every query to every gallery row after re-ranking, in [0, 1]; smaller is closer.

    Args:
        k1: neighbors that an encoding rests on.
        k2: neighbors over which encodings are averaged; 1: none.
        lam: λ, the share of the distance itself; 1 leaves the order as it was.
        normalize: divide embeddings by their length first.
        torchreid_compat: square the distances, which are squared already, once more, as torchreid and fast-reid do.
        block_bytes: about what distances may take at a time, beside the result and the encodings; four times that
            while all pictures are compared with all.
        progress: told how many more of the q + g rows are through, and again of the q that are ranked.

    Raises:
        ProtocolError: if an argument is out of its range, or embeddings are zero or not finite.
        ShapeError: if the two sides differ in dimensions or dtype.
    """
    squared_euclidean(to_float32(query[:0]), to_float32(gallery[:0]))  # says what differs
    union = torch.cat([query, gallery])
    among = compare_vectors(union, union, normalize=normalize)
    how = Rerank(k1, k2, lam, torchreid_compat)
    return _collected(prepare(among, len(query), how, block_bytes=block_bytes, progress=progress), progress)


def k_reciprocal_of(
    distances: Float[Tensor, "n m"],
    queries: int,
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
    *,
    torchreid_compat: bool = False,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> Float[Tensor, "q g"]:
    """:func:`k_reciprocal` of squared distances among the union of query and gallery, queries first.

    Raises:
        ProtocolError: if an argument is out of its range, or a distance is negative or not finite.
        ShapeError: if the matrix is not square.
    """
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ShapeError(f"re-ranking needs the distances among all pictures, (N, N), got {tuple(distances.shape)}")
    distances = to_float32(distances.detach())
    if not (distances >= 0).all() or not distances.isfinite().all():
        raise ProtocolError("distances must be finite and not below 0; these are not: look at what made them")
    how = Rerank(k1, k2, lam, torchreid_compat)
    prepared = prepare(DistanceMatrix(distances), queries, how, block_bytes=block_bytes, progress=progress)
    return _collected(prepared, progress)


def _collected(prepared: KReciprocal, progress: Progress | None) -> Float[Tensor, "q g"]:
    gallery = prepared.among.shape[0] - prepared.queries
    result = prepared.farthest.new_empty(prepared.queries, gallery)
    for rows, distances in prepared.blocks():
        result[rows] = distances
        if progress is not None:
            progress(len(rows))
    return result


def prepare(
    among: Among,
    queries: int,
    how: Rerank,
    *,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> KReciprocal:
    """All of :func:`k_reciprocal` but its result, whose blocks may then be asked for one by one."""
    _refuse(among, queries, how)
    n, k1, k2 = among.shape[0], how.k1, how.k2
    if isinstance(among, Comparison) and n * n * among.cell_bytes <= _ALL_WITH_ALL * block_bytes:
        among = full_matrix(among)
    order, farthest = _neighbors(among, min(max(k1 + 1, k2), n), block_bytes, progress)
    mutual, half = _mutual(order[:, : k1 + 1]), _mutual(order[:, : round(k1 / 2) + 1])
    encodings = concatenated(
        [
            _encoded(among, rows, *_expanded(order, mutual, half, rows), farthest, how)
            for rows in row_blocks(n, CELL_BYTES * (k1 + 1) * (k1 + 2), block_bytes, order.device)
        ]
    )
    if k2 > 1:
        some = row_blocks(n, CELL_BYTES * k2 * int(encodings.lengths.max()), block_bytes, order.device)
        encodings = concatenated([mean_of_rows(encodings, order[rows, :k2]) for rows in some])
    by_column = transposed(encodings.below(queries), n)
    return KReciprocal(among, queries, farthest, encodings, by_column, how, block_bytes)


def _refuse(among: Among, queries: int, how: Rerank) -> None:
    if not 0 < queries < among.shape[0]:
        raise ProtocolError(f"re-ranking needs both sides, got {queries} queries of {among.shape[0]} pictures in all")
    if how.k1 < 1 or how.k2 < 1:
        raise ProtocolError(f"k1 and k2 count neighbors from 1, got {how.k1} and {how.k2}")
    if not 0 <= how.lam <= 1:
        raise ProtocolError(f"lam is the share of the distance itself, 0 to 1; got {how.lam}")


def _within(lengths: Int[Tensor, " e"], most: int) -> Iterator[slice]:
    """Runs of entries whose lengths come to no more than ``most``, or that are one entry."""
    ends = lengths.cumsum(0)
    first = 0
    while first < len(lengths):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(torch.searchsorted(ends, before + most, right=True)))
        yield slice(first, last)
        first = last


def _neighbors(
    among: Among, k: int, block_bytes: int, progress: Progress | None
) -> tuple[Int[Tensor, "n k"], Float[Tensor, " n"]]:
    """The k nearest of every row, and its farthest distance (1 where all are 0)."""
    order, farthest = [], []
    for rows in comparison_blocks(among, _ALL_WITH_ALL * block_bytes):
        distances = among.block(rows)
        farthest.append(distances.amax(1))
        order.append(nearest(distances, k)[1])
        if progress is not None:
            progress(len(rows))
    largest = torch.cat(farthest)
    return torch.cat(order), torch.where(largest > 0, largest, torch.ones_like(largest))


def _mutual(order: Int[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
    """Of each row's neighbors, which have the row among theirs: R among N."""
    rows = torch.arange(len(order), device=order.device)
    return torch.cat([(order[order[some]] == some[:, None, None]).any(2) for some in rows.split(4096)])


def _expanded(
    order: Int[Tensor, "n k"], mutual: Bool[Tensor, "n m"], half: Bool[Tensor, "n h"], rows: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b w"], Bool[Tensor, "b w"]]:
    """R* of some rows, ascending: a padded table of columns, and which of its cells count."""
    nowhere = len(order)
    own = order[rows, : mutual.shape[1]]
    members = own.masked_fill(~mutual[rows], nowhere)
    theirs, count = order[own, : half.shape[1]], half[own]  # (b, m, h): what each neighbor would bring
    known = members.sort(dim=1).values
    at = torch.searchsorted(known, theirs.flatten(1)).clamp_max(known.shape[1] - 1)
    shared = known.gather(1, at).view_as(theirs) == theirs
    accepted = mutual[rows] & (3 * (shared & count).sum(2) > 2 * count.sum(2))
    brought = theirs.masked_fill(~(count & accepted[:, :, None]), nowhere)
    table = torch.cat([members, brought.flatten(1)], dim=1).sort(dim=1).values
    first = torch.ones_like(table, dtype=torch.bool)
    first[:, 1:] = table[:, 1:] != table[:, :-1]
    return table, first & (table < nowhere)


def _encoded(
    among: Among,
    rows: Int[Tensor, " b"],
    columns: Int[Tensor, "b w"],
    there: Bool[Tensor, "b w"],
    farthest: Float[Tensor, " n"],
    how: Rerank,
) -> Ragged:
    """exp(−D) on the cells that count, each row summing to 1."""
    cell = there.nonzero(as_tuple=True)
    owner = rows[cell[0]]
    distances = among.pairs(owner, columns[cell]) / farthest[owner]
    weights = (-_squared(distances, how)).exp()
    sums = weights.new_zeros(len(rows)).index_add_(0, cell[0], weights)
    return ragged(columns, there, weights / sums[cell[0]])


def _squared(distances: Float[Tensor, "..."], how: Rerank) -> Float[Tensor, "..."]:
    """Once more, if asked for; a row's maximum is 1 either way."""
    return distances.square() if how.torchreid_compat else distances
