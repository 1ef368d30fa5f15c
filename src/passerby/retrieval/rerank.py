"""The re-ranking with k-reciprocal encoding (Zhong, Zheng, Cao, Li, CVPR 2017).

Over the union of query and gallery, N images, D their squared Euclidean distances, each row divided by
its own maximum:

============================================================  ==================================
N(p, k), the k nearest; p itself is the first of k + 1         :func:`~passerby.retrieval.distance.compare.nearest`
R(p, k) = {g in N(p, k) : p in N(g, k)} (Eq 2)                  :func:`_mutual`
R*(p, k1): with R(q, k1/2) of each q in R(p, k1) of which       :func:`_expanded`
more than 2/3 lies in R(p, k1) (Eq 3)
V_p = exp(−D(p, ·)) on R*(p, k1), summing to 1 (Eq 7)          :func:`_encoded`
V_p = mean of V over N(p, k2) (Eq 11)                          :func:`~passerby.retrieval.sparse_rows.mean_of_rows`
d_J = 1 − Σ min(V_p, V_g) / Σ max(V_p, V_g) (Eq 10)            :meth:`KReciprocal.jaccard`
d* = (1 − λ) d_J + λ D (Eq 12)                                 :meth:`KReciprocal.distances`
============================================================  ==================================

As in the authors' code, k + 1 nearest are taken (an image is its own nearest), k1/2 is rounded half to
even, and the weights sum to 1, so Σ max = 2 − Σ min. torchreid and fast-reid square D twice, since
they pass distances that are squared already: ``torchreid_compat`` reproduces that.

The encodings are sparse (k1 neighbors and theirs, not N columns), and distances are used in blocks
and dropped: neither N × N distances (unless they fit four times ``block_bytes``: each is then computed only once)
nor their order nor N × N encodings are ever in memory. Beside ``block_bytes``
the memory is that of the encodings, about a hundred entries per image, N k1² k2 / 2 at worst. The time is
O(N² d) for the distances, by far the most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import (
    BLOCK_BYTES,
    CELL_BYTES,
    Comparison,
    DistanceMatrix,
    compare_vectors,
    comparison_blocks,
    full_matrix,
    nearest,
    row_blocks,
)
from passerby.retrieval.distance.euclidean import squared_euclidean, to_float32
from passerby.retrieval.sparse_rows import SparseRows, concatenate, from_table, mean_of_rows, transpose
from passerby.types import Rerank

Progress = Callable[[int], object]
_UNION_BLOCKS = 4
"""The multiple of ``block_bytes`` allowed while all images are compared with all: products of few rows are slow."""


@dataclass(frozen=True, eq=False)
class KReciprocal:
    """The encodings of N images, of which the first ``queries`` are the queries and the others the gallery."""

    among: Comparison | DistanceMatrix
    queries: int
    farthest: Float[Tensor, " n"]
    """The largest distance of each row."""
    encodings: SparseRows
    """The encodings V, ``(N, N)``."""
    by_column: SparseRows
    """The encodings V of the gallery, transposed."""
    options: Rerank
    block_bytes: int

    def jaccard(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b g"]:
        """Return the Jaccard distances of some queries to the whole gallery, in [0, 1]."""
        gallery = self.among.shape[0] - self.queries
        shared = self.encodings.weights.new_zeros(len(rows) * gallery)
        entries, owner = self.encodings.entries(rows)
        for run in _runs_within(self.by_column.lengths[self.encodings.columns[entries]], self.block_bytes // 64):
            column, weight = (x[entries[run]] for x in (self.encodings.columns, self.encodings.weights))
            met, place = self.by_column.entries(column)
            cell = owner[run][place] * gallery + self.by_column.columns[met]
            shared.index_add_(0, cell, torch.minimum(weight[place], self.by_column.weights[met]))
        shared = shared.view(len(rows), gallery)
        return 1 - shared / (2 - shared)

    def distances(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b g"]:
        """Return d* of some queries to the whole gallery; smaller is closer."""
        own = self.among.block(rows, slice(self.queries, None)) / self.farthest[rows][:, None]
        return self.options.lam * _powered(own, self.options) + (1 - self.options.lam) * self.jaccard(rows)

    def blocks(self) -> Iterator[tuple[Int[Tensor, " b"], Float[Tensor, "b g"]]]:
        """Yield query rows and their distances, ``block_bytes`` at a time."""
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
    """Return the distances of every query to every gallery row after re-ranking, in [0, 1]; smaller is closer.

    Args:
        k1: the number of neighbors that an encoding is computed from.
        k2: the number of neighbors over which encodings are averaged; 1 means no averaging.
        lam: λ, the weight of the original distance; with 1 the order does not change.
        normalize: L2-normalize embeddings first.
        torchreid_compat: square the squared distances once more, as torchreid and fast-reid do.
        block_bytes: about the memory that distances may take at a time, beside the result and the encodings; four times
            that while all images are compared with all.
        progress: called with the number of rows finished since the last call: of q + g rows, then of q ranked queries.

    Raises:
        ProtocolError: if an argument is out of its range, or embeddings are zero or not finite.
        ShapeError: if the two sides differ in dimensions or dtype.
    """
    squared_euclidean(to_float32(query[:0]), to_float32(gallery[:0]))  # raises if dimensions or dtypes differ
    union = torch.cat([query, gallery])
    among = compare_vectors(union, union, normalize=normalize)
    options = Rerank(k1, k2, lam, torchreid_compat)
    prepared = prepare(among, len(query), options, block_bytes=block_bytes, progress=progress)
    result = prepared.farthest.new_empty(len(query), len(gallery))
    for rows, distances in prepared.blocks():
        result[rows] = distances
        if progress is not None:
            progress(len(rows))
    return result


def prepare(
    among: Comparison | DistanceMatrix,
    queries: int,
    options: Rerank,
    *,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> KReciprocal:
    """Return the encodings of the union, from which :meth:`KReciprocal.blocks` computes the distances.

    Raises:
        ProtocolError: if an option is out of its range, or a side is empty.
    """
    if not 0 < queries < among.shape[0]:
        raise ProtocolError(f"re-ranking needs both sides, got {queries} queries of {among.shape[0]} images in all")
    _check_options(options)
    among, encodings, farthest = encode(among, options, block_bytes=block_bytes, progress=progress)
    by_column = transpose(encodings.from_row(queries), among.shape[0])
    return KReciprocal(among, queries, farthest, encodings, by_column, options, block_bytes)


def encode(
    among: Comparison | DistanceMatrix,
    options: Rerank,
    *,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> tuple[Comparison | DistanceMatrix, SparseRows, Float[Tensor, " n"]]:
    """Return the distances as they are used, the encodings V of all images, and the largest distance of each row."""
    n, k1, k2 = among.shape[0], options.k1, options.k2
    if isinstance(among, Comparison) and n * n * among.cell_bytes <= _UNION_BLOCKS * block_bytes:
        among = full_matrix(among)
    order, farthest = _neighbors(among, min(max(k1 + 1, k2), n), block_bytes, progress)
    mutual, half = _mutual(order[:, : k1 + 1]), _mutual(order[:, : round(k1 / 2) + 1])
    encodings = concatenate(
        [
            _encoded(among, rows, *_expanded(order, mutual, half, rows), farthest, options)
            for rows in row_blocks(n, CELL_BYTES * (k1 + 1) * (k1 + 2), block_bytes, order.device)
        ]
    )
    if k2 > 1:
        blocks = row_blocks(n, CELL_BYTES * k2 * int(encodings.lengths.max()), block_bytes, order.device)
        encodings = concatenate([mean_of_rows(encodings, order[rows, :k2]) for rows in blocks])
    return among, encodings, farthest


def check_neighbors(options: Rerank, images: int) -> None:
    """Check that re-ranking has the neighbors that it is asked for.

    The published numbers, which are the defaults, hold for fewer images too: all are then neighbors of all.

    Raises:
        ProtocolError: if it has not.
    """
    published = Rerank()
    for name in ("k1", "k2"):
        k = getattr(options, name)
        if k >= images and k != getattr(published, name):
            raise ProtocolError(
                f"re-ranking by {name} = {k} neighbors needs more query and gallery images than that, got {images}. "
                f"Fix: lower --{name}, or leave --rerank out"
            )


def _check_options(options: Rerank) -> None:
    if options.k1 < 1 or options.k2 < 1:
        raise ProtocolError(f"k1 and k2 must be at least 1, got {options.k1} and {options.k2}. Fix: raise them")
    if not 0 <= options.lam <= 1:
        raise ProtocolError(f"lam, the weight of the original distance, must be from 0 to 1, got {options.lam}")


def _runs_within(lengths: Int[Tensor, " e"], most: int) -> Iterator[slice]:
    """Yield runs of entries whose lengths sum to at most ``most``, or that are one entry."""
    ends = lengths.cumsum(0)
    first = 0
    while first < len(lengths):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(torch.searchsorted(ends, before + most, right=True)))
        yield slice(first, last)
        first = last


def _neighbors(
    among: Comparison | DistanceMatrix, k: int, block_bytes: int, progress: Progress | None
) -> tuple[Int[Tensor, "n k"], Float[Tensor, " n"]]:
    """Return the k nearest of every row, and its largest distance (1 where all are 0)."""
    order, farthest = [], []
    for rows in comparison_blocks(among, _UNION_BLOCKS * block_bytes):
        distances = among.block(rows)
        farthest.append(distances.amax(1))
        order.append(nearest(distances, k)[1])
        if progress is not None:
            progress(len(rows))
    largest = torch.cat(farthest)
    return torch.cat(order), torch.where(largest > 0, largest, torch.ones_like(largest))


def _mutual(order: Int[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
    """Return which of each row's neighbors have the row among theirs: R among N."""
    rows = torch.arange(len(order), device=order.device)
    return torch.cat([(order[order[run]] == run[:, None, None]).any(2) for run in rows.split(4096)])


def _expanded(
    order: Int[Tensor, "n k"], mutual: Bool[Tensor, "n m"], half: Bool[Tensor, "n h"], rows: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b w"], Bool[Tensor, "b w"]]:
    """Return R* of some rows, ascending: a padded table of columns, and which of its cells count."""
    padding = len(order)
    own = order[rows, : mutual.shape[1]]
    members = own.masked_fill(~mutual[rows], padding)
    theirs, count = order[own, : half.shape[1]], half[own]  # (b, m, h): what each neighbor would add
    known = members.sort(dim=1).values
    at = torch.searchsorted(known, theirs.flatten(1)).clamp_max(known.shape[1] - 1)
    shared = known.gather(1, at).view_as(theirs) == theirs
    accepted = mutual[rows] & (3 * (shared & count).sum(2) > 2 * count.sum(2))
    added = theirs.masked_fill(~(count & accepted[:, :, None]), padding)
    table = torch.cat([members, added.flatten(1)], dim=1).sort(dim=1).values
    first = torch.ones_like(table, dtype=torch.bool)
    first[:, 1:] = table[:, 1:] != table[:, :-1]
    return table, first & (table < padding)


def _encoded(
    among: Comparison | DistanceMatrix,
    rows: Int[Tensor, " b"],
    columns: Int[Tensor, "b w"],
    kept: Bool[Tensor, "b w"],
    farthest: Float[Tensor, " n"],
    options: Rerank,
) -> SparseRows:
    """Return exp(−D) on the kept cells, each row summing to 1."""
    cell = kept.nonzero(as_tuple=True)
    owner = rows[cell[0]]
    distances = among.pairs(owner, columns[cell]) / farthest[owner]
    weights = (-_powered(distances, options)).exp()
    sums = weights.new_zeros(len(rows)).index_add_(0, cell[0], weights)
    return from_table(columns, kept, weights / sums[cell[0]])


def _powered(distances: Float[Tensor, "..."], options: Rerank) -> Float[Tensor, "..."]:
    """Return the distances, squared once more for torchreid's numbers; a row's maximum is 1 either way."""
    return distances.square() if options.torchreid_compat else distances
