"""The one ranking core: evaluation, gallery search and every page that shows hits call it.

Queries are taken in blocks small enough for ``block_bytes``; a block's distances to the gallery are
looked at once and dropped, so no q × g matrix ever stands. Evaluation needs only the ranks of the
true matches and gets them by counting, without sorting the gallery.

Ties go to the row that stands earlier in the gallery, whatever the sort, and copies of one embedding
always tie. Other rows whose distances agree to the last few bits may still change places with the
block size, because a matrix product rounds by its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError, UnknownNameError
from passerby.retrieval.blocks import BLOCK_BYTES, row_blocks
from passerby.retrieval.distance import centred, first_copies, normalize, squared_euclidean
from passerby.retrieval.dmli import dmli
from passerby.retrieval.nearest import nearest
from passerby.types import Embeddings, Protocol, Ranking, Role

DistanceName = Literal["global", "local", "global_local"]
_COUNTING_BYTES = 32
"""What masks and counts take beside each distance of a block."""


@dataclass(frozen=True, eq=False)
class PositiveRanks:
    """Ranks (1 = nearest) of every valid query's true matches among its valid gallery rows, ragged."""

    ranks: Tensor
    """``(m,)`` int64: all queries' ranks one after another, ascending within each."""
    counts: Tensor
    """``(v,)`` int64: how many belong to each valid query; at least 1."""
    queries: Tensor
    """``(v,)`` int64: rows of the valid queries."""
    dropped: Tensor
    """Rows of the queries that have no valid match."""


def top_k(
    query: Embeddings,
    gallery: Embeddings,
    k: int,
    *,
    distance: DistanceName = "global",
    normalise: bool = True,
    block_bytes: int = BLOCK_BYTES,
) -> Ranking:
    """The ``k`` nearest gallery rows of each query, nearest first.

    Args:
        normalise: divide embeddings by their length before they are compared.

    Raises:
        ProtocolError: if ``k`` is not between 1 and the gallery's length, or embeddings are not comparable.
    """
    if not 1 <= k <= len(gallery):
        raise ProtocolError(
            f"k must be between 1 and the gallery's {len(gallery)} images, got {k}; ask for at most {len(gallery)}"
        )
    found = [nearest(block, k) for _, block in _blocks(query, gallery, distance, block_bytes, normalise=normalise)]
    distances, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Ranking(indices, distances)


def positive_ranks(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> PositiveRanks:
    """Where each query's true matches rank, under the protocol's rules.

    Ignored gallery rows (junk; the query's own person and camera) take no rank. Rank = 1 + valid rows
    strictly closer + valid rows equally close that stand earlier in the gallery.

    Raises:
        ProtocolError: if labels that the protocol needs are missing, or no query has a valid match.
    """
    labels = _Labels(query, gallery, protocol)
    ranks, counts = [], torch.zeros(len(query), dtype=torch.long)
    for rows, block in _blocks(query, gallery, protocol.distance, block_bytes, normalise=protocol.normalise):
        ignored, positive = (mask.to(block.device) for mask in labels.masks(rows))
        block[ignored] = torch.inf
        found, per_query = _count_ranks(block, positive)
        ranks.append(found)
        counts[rows] = per_query.cpu()
    valid = counts > 0
    if not valid.any():
        raise ProtocolError(
            f"none of the {len(query)} queries has a valid match in the gallery ({len(gallery)} images): their people "
            "are absent from it or seen by the same camera only; `passerby data check` names them"
        )
    kept, gone = valid.nonzero().squeeze(1), (~valid).nonzero().squeeze(1)
    return PositiveRanks(torch.cat(ranks).cpu(), counts[valid], kept, gone)


def _count_ranks(block: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks of the ``positive`` cells of ``block (b, g)`` within their rows, row by row ascending; and their counts."""
    per_query = positive.sum(1)
    width = int(per_query.max()) if len(per_query) else 0
    if width == 0:
        return per_query.new_empty(0), per_query
    rows, columns = positive.nonzero(as_tuple=True)  # row-major: gallery order within a row
    slot = torch.arange(len(rows), device=rows.device) - (per_query.cumsum(0) - per_query)[rows]
    thresholds = block.new_full((len(block), width), torch.inf)
    thresholds[rows, slot] = block[rows, columns]
    where = torch.full_like(thresholds, block.shape[1], dtype=torch.long)
    where[rows, slot] = columns
    thresholds, order = thresholds.sort(dim=1, stable=True)  # stable: gallery order among equals
    where = where.gather(1, order)
    # of each cell, how many of its row's thresholds are at or below it
    reached = torch.searchsorted(thresholds, block, right=True)
    closer = _count_below(reached, width)
    earlier = _count_earlier_ties(block, thresholds, where, reached)
    real = torch.arange(width, device=block.device) < per_query[:, None]
    return (1 + closer + earlier)[real], per_query


def _count_below(reached: Tensor, width: int) -> Tensor:
    """For each ascending threshold of a row: how many of the row's cells are strictly below it."""
    bins = reached + torch.arange(len(reached), device=reached.device)[:, None] * (width + 1)
    histogram = torch.bincount(bins.flatten(), minlength=len(reached) * (width + 1))
    return histogram.view(len(reached), width + 1)[:, :width].cumsum(1)


def _count_earlier_ties(block: Tensor, thresholds: Tensor, where: Tensor, reached: Tensor) -> Tensor:
    """For each threshold, taken from column ``where``: cells equal to it in earlier columns."""
    counts = torch.zeros_like(where)
    nearest = thresholds.gather(1, (reached - 1).clamp_min(0))
    equal = (reached > 0) & (nearest == block) & block.isfinite()
    # every true match equals its own threshold: only rows with more equals than matches need a look
    crowded = (equal.sum(1) > thresholds.isfinite().sum(1)) | (thresholds.diff(dim=1) == 0).any(1)
    columns = torch.arange(block.shape[1], device=block.device)
    for row in crowded.nonzero().squeeze(1).tolist():
        same = block[row][None, :] == thresholds[row][:, None]
        counts[row] = (same & (columns[None, :] < where[row][:, None])).sum(1)
    return counts


def _blocks(
    query: Embeddings, gallery: Embeddings, distance: str, block_bytes: int, *, normalise: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Query rows and their distances to the whole gallery, ``(b, g)``, a block at a time."""
    if not len(query) or not len(gallery):
        raise ProtocolError(f"ranking needs both sides, got {len(query)} queries and {len(gallery)} gallery images")
    between, cell_bytes = _prepared(query, gallery, distance, normalise=normalise)
    for rows in row_blocks(len(query), cell_bytes * len(gallery), block_bytes):
        yield rows, between(rows)


def _prepared(
    query: Embeddings, gallery: Embeddings, name: str, *, normalise: bool
) -> tuple[Callable[[Tensor], Tensor], int]:
    """A function from query rows to distances, with all that can be done once already done; and its bytes a pair."""
    if name not in get_args(DistanceName):
        raise UnknownNameError("distance", name, get_args(DistanceName))
    parts: list[Callable[[Tensor], Tensor]] = []
    columns: list[Tensor] = []
    cells = 1
    if name != "local":
        both = query.features, gallery.features
        q, g = map(normalize, both) if normalise else centred(*both)
        parts.append(lambda rows: squared_euclidean(q[rows], g))
        columns.append(gallery.features)
    if name != "global":
        x, y = _stripes(query, gallery, name)
        parts.append(lambda rows: dmli(x[rows], y))
        columns.append(y)
        cells += 2 * x.shape[1] * y.shape[1]  # the cost matrix and its mirror image
    original = first_copies(*columns)

    def between(rows: Tensor) -> Tensor:
        distances = parts[0](rows)
        for part in parts[1:]:
            distances = distances + part(rows)
        return distances if original is None else distances[:, original]

    return between, columns[0].element_size() * cells + _COUNTING_BYTES


def _stripes(query: Embeddings, gallery: Embeddings, name: str) -> tuple[Tensor, Tensor]:
    x, y = query.local, gallery.local
    if x is None or y is None:
        raise ProtocolError(
            f"distance {name!r} needs stripe vectors, which these embeddings lack; "
            "embed again with them, with a model that makes them"
        )
    if x.shape[1:] != y.shape[1:] or x.dtype != y.dtype:
        raise ShapeError(
            f"queries have stripes {tuple(x.shape[1:])} of {x.dtype}, the gallery {tuple(y.shape[1:])} of {y.dtype}: "
            "they come from different models; embed both with the same one"
        )
    for side in (x, y):
        normalize(side.flatten(1))  # refuses what is near to nothing; the stripes are unit vectors already
    return x, y


class _Labels:
    """Who is who, for the masks of one protocol."""

    def __init__(self, query: Embeddings, gallery: Embeddings, protocol: Protocol) -> None:
        if query.pids is None or gallery.pids is None:
            raise ProtocolError("evaluation needs to know the people of query and gallery; these are unlabelled")
        if protocol.ignore_same_camera and (query.camids is None or gallery.camids is None):
            raise ProtocolError(
                f"protocol {protocol.name} ignores matches from the same camera, but the cameras are unknown; "
                "name them (see docs/data.md) or evaluate with ignore_same_camera=False"
            )
        self.query, self.gallery = query, gallery
        self.by_camera = protocol.ignore_same_camera
        person, junk = int(Role.PERSON), int(Role.JUNK)
        everyone = torch.full((len(gallery),), person)
        roles = gallery.roles if gallery.roles is not None else everyone
        self.junk, self.person = roles == junk, roles == person
        asked = query.roles if query.roles is not None else torch.full((len(query),), person)
        self.asks = asked == person

    def masks(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(ignored, positive), each ``(b, g)`` bool, for some queries."""
        query, gallery = self.query, self.gallery
        assert query.pids is not None
        assert gallery.pids is not None
        # a code that a distractor shares with somebody does not make it that person
        same = (query.pids[rows][:, None] == gallery.pids[None, :]) & self.person & self.asks[rows][:, None]
        ignored = self.junk.expand_as(same)
        if self.by_camera and query.camids is not None and gallery.camids is not None:
            ignored = ignored | (same & (query.camids[rows][:, None] == gallery.camids[None, :]))
        return ignored, same & ~ignored
