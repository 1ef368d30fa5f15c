"""The ranking core, shared by evaluation, gallery search and every page that shows hits.

Queries are processed in blocks small enough for ``block_bytes``; a block's distances to the gallery are
used once and dropped, so that the q × g matrix is never in memory. Evaluation needs only the ranks of the
true matches and gets them by counting, without sorting the gallery.

Ties go to the earlier gallery row, whatever the sort, and copies of one embedding
always tie. Other rows whose distances agree to the last few bits may still change places with the
block size, because a matrix product rounds by its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import (
    BLOCK_BYTES,
    DistanceName,
    PreparedGallery,
    compare,
    compare_union,
    comparison_blocks,
    nearest,
)
from passerby.retrieval.matches import Matches, roles_of, rows_that_count, without_junk
from passerby.retrieval.rerank import prepare
from passerby.types import Embeddings, Protocol, Ranking, Rerank, Role

_WORTH_SORTING = 0.04
"""The share (of matches × gallery) below which sorting up to the farthest match is faster than counting; measured."""


@dataclass(frozen=True, eq=False)
class PositiveRanks:
    """The ranks (1 = nearest) of every valid query's true matches among its valid gallery rows."""

    ranks: Tensor
    """The ranks of all queries one after another, ascending within each: ``(m,)`` int64."""
    counts: Tensor
    """The number of true matches of each valid query, at least 1: ``(v,)`` int64."""
    queries: Tensor
    """The rows of the valid queries: ``(v,)`` int64."""
    dropped: Tensor
    """The rows of the queries without a valid match."""


def top_k(
    query: Embeddings,
    gallery: Embeddings | PreparedGallery,
    k: int,
    *,
    distance: DistanceName = "global",
    normalize: bool = True,
    rerank: Rerank | None = None,
    candidates: int | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Ranking:
    """Return the ``k`` nearest gallery rows of each query, nearest first.

    Args:
        gallery: its embeddings, or what several searches share of the work on them.
        normalize: L2-normalize embeddings before they are compared.
        candidates: align stripes with so many gallery rows only, the nearest by embedding: for a fast search, which
            misses matches that are farther off by embedding alone. With all rows as candidates the result is that of
            ``None``, up to rounding.

    Raises:
        ProtocolError: if ``k`` is not between 1 and the gallery's length (without its junk, if ``rerank`` is given), or
            embeddings are not comparable; if ``candidates`` is below ``k`` or above the gallery's length, or the
            distance aligns no stripes; if ``rerank`` is given and a query is junk.
    """
    protocol = Protocol(distance=distance, normalize=normalize, rerank=rerank)
    gallery = PreparedGallery.of(gallery)
    most = len(rows_that_count(gallery.embeddings)) if rerank else len(gallery)
    if not 1 <= k <= most:
        raise ProtocolError(
            f"k must be between 1 and the gallery's {most} images, got {k}. Fix: ask for at most {most}"
        )
    _check_no_junk(torch.arange(len(query)), query, protocol)
    if candidates is not None:
        return _top_of_candidates(candidates, query, gallery, k, protocol, block_bytes)
    found = [nearest(block, k) for _, block in distance_blocks(query, gallery, protocol, block_bytes)]
    distances, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Ranking(indices, distances)


def _top_of_candidates(
    candidates: int, query: Embeddings, gallery: PreparedGallery, k: int, protocol: Protocol, block_bytes: int
) -> Ranking:
    if not k <= candidates <= len(gallery):
        raise ProtocolError(f"candidates must be between k = {k} and the gallery's {len(gallery)}, got {candidates}")
    if protocol.distance == "global" or protocol.rerank:
        raise ProtocolError(
            f"candidates need a distance of stripes without re-ranking, got distance {protocol.distance!r}"
            f"{', re-ranked' if protocol.rerank else ''}. Fix: leave candidates out"
        )
    comparison = compare(query, gallery, protocol.distance, normalize=protocol.normalize)
    near = top_k(query, gallery, candidates, normalize=protocol.normalize, block_bytes=block_bytes).indices
    columns = near.sort(dim=1).values  # ascending, so that ties go to the earlier row
    rows = torch.arange(len(query), device=columns.device).repeat_interleave(candidates)
    distances, places = nearest(comparison.pairs(rows, columns.flatten()).view_as(columns), k)
    return Ranking(columns.gather(1, places), distances)


def positive_ranks(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> PositiveRanks:
    """Return the ranks of each query's true matches, under the protocol's rules.

    Ignored gallery rows (junk; the query's own person and camera) take no rank. Rank = 1 + valid rows
    strictly closer + valid rows equally close that come earlier in the gallery.

    Raises:
        ProtocolError: if labels that the protocol needs are missing, or no query has a valid match.
    """
    matches = Matches.find(query, gallery, protocol)
    ranks, counts = [], torch.zeros(len(query), dtype=torch.long)
    for rows, block in distance_blocks(query, gallery, protocol, block_bytes):
        matches.mask_ignored(block, rows)
        for row, distances in zip(rows.tolist(), block, strict=True):
            columns = matches.positive[row].to(block.device)
            counts[row] = columns.numel()
            if columns.numel():
                ranks.append(_ranks(distances, columns))
    valid = counts > 0
    if not valid.any():
        raise ProtocolError(
            f"none of the {len(query)} queries has a valid match in the gallery ({len(gallery)} images): their people "
            "are absent from it or seen by the same camera only. Fix: `passerby data check` lists them"
        )
    kept, gone = valid.nonzero().squeeze(1), (~valid).nonzero().squeeze(1)
    return PositiveRanks(torch.cat(ranks).cpu(), counts[valid], kept, gone)


def query_distances(
    rows: Int[Tensor, " r"],
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[int, Float[Tensor, " g"]]]:
    """Yield the given queries, ascending, each with its distances to the whole gallery, on the CPU.

    They are bit for bit the distances that :func:`positive_ranks` counts: computed for all queries, in the same blocks.

    Raises:
        ProtocolError: if a query is junk, and the protocol re-ranks by neighbors.
    """
    _check_no_junk(rows, query, protocol)
    wanted = set(rows.tolist())
    for block_rows, block in distance_blocks(query, gallery, protocol, block_bytes):
        for place, row in enumerate(block_rows.tolist()):
            if row in wanted:
                wanted.remove(row)
                yield row, block[place].cpu()
        if not wanted:
            return


def _ranks(distances: Float[Tensor, " g"], columns: Int[Tensor, " p"]) -> Int[Tensor, " p"]:
    """Return the ranks of the cells at ``columns`` (ascending) of one query's distances, ascending."""
    thresholds, order = distances[columns].sort(stable=True)  # stable: gallery order among equals
    closer, reached = _counts(distances, thresholds)
    ranks = 1 + closer
    for i in (reached - closer > 1).nonzero().squeeze(1).tolist():  # ties: earlier rows come first
        ranks[i] += (distances[: int(columns[order[i]])] == thresholds[i]).sum()
    return ranks


def _counts(
    distances: Float[Tensor, " g"], thresholds: Float[Tensor, " p"]
) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """Return how many distances are below each threshold, and how many at or below it."""
    if distances.is_cuda:
        cells = distances[None], thresholds[:, None]
        return (cells[0] < cells[1]).sum(1), (cells[0] <= cells[1]).sum(1)
    row, limits = distances.numpy(), thresholds.numpy()  # NumPy counts five times as fast as torch
    near = row[row <= limits[-1]]
    if near.size < _WORTH_SORTING * limits.size * row.size:
        near.sort()
        below, reached = (np.searchsorted(near, limits, side=side) for side in ("left", "right"))
    else:
        below, reached = np.array([(np.count_nonzero(near < t), np.count_nonzero(near <= t)) for t in limits]).T
    return torch.from_numpy(below), torch.from_numpy(np.ascontiguousarray(reached))


def distance_blocks(
    query: Embeddings, gallery: Embeddings | PreparedGallery, protocol: Protocol, block_bytes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return blocks of query rows and their distances ``(b, g)`` to the whole gallery, as the protocol defines them.

    Re-ranking knows no junk, which is no image's neighbor: its queries have no row, its gallery images are at infinity.
    """
    if protocol.rerank:
        gallery = PreparedGallery.of(gallery).embeddings  # neighbors are found among both sides: none is prepared alone
        counted = without_junk(query), without_junk(gallery)
        union = compare_union(*counted, protocol.distance, normalize=protocol.normalize)
        blocks = prepare(union, len(counted[0]), protocol.rerank, block_bytes=block_bytes).blocks()
        whole = counted[0] is query and counted[1] is gallery
        return blocks if whole else _widened(blocks, rows_that_count(query), rows_that_count(gallery), len(gallery))
    comparison = compare(query, gallery, protocol.distance, normalize=protocol.normalize)
    return ((rows, comparison.block(rows)) for rows in comparison_blocks(comparison, block_bytes))


def _widened(
    blocks: Iterator[tuple[Tensor, Tensor]], queries: Int[Tensor, " q"], columns: Int[Tensor, " c"], width: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of the ``queries`` and ``columns`` of a wider matrix by their places in it; the rest is infinite."""
    for rows, block in blocks:
        whole = block.new_full((len(rows), width), torch.inf)
        whole[:, columns.to(block.device)] = block
        yield queries.to(rows.device)[rows], whole


def _check_no_junk(rows: Int[Tensor, " r"], query: Embeddings, protocol: Protocol) -> None:
    """Check that re-ranking has distances of these queries."""
    if not protocol.rerank:
        return
    junk = [query.paths[row] for row in rows[roles_of(query)[rows.cpu()] == int(Role.JUNK)].tolist()]
    if junk:
        raise ProtocolError(
            f"{len(junk)} of {len(rows)} queries are junk, which re-ranking leaves out, for example '{junk[0]}'. "
            "Fix: leave these queries or the re-ranking out"
        )
