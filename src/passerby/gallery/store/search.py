"""Exact search in shards: what a first pass in 8 bits cannot exclude goes to the ranking core.

A row is left out only if its distance, as low as it may be, exceeds the k-th smallest of the distances as high as they
may be: at least k rows are nearer then. The ranking core compares the others as stored, so hits, their order and
their ties are its own. Where filters leave few rows, all of them go to the ranking core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from passerby.gallery.store.quantized import Quantized, approximate
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Mask
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Ranking

DIRECT = 2048
"""The number of rows up to which no first pass is worth its time; measured."""
SPARSE = 8
"""A shard is compared as a whole unless fewer than one in so many of its rows may be found; measured."""
CELLS = 1 << 24
"""The number of distances that are in memory at a time."""
ROWS = 1 << 16
"""The number of rows that the ranking core compares at a time."""


class Selection:
    """The rows of some shards that may be found; rows are counted through all shards."""

    def __init__(self, shards: Sequence[Shard], masks: Sequence[Mask]) -> None:
        self.shards, self.masks = shards, masks
        self.starts: NDArray[np.int64] = np.cumsum([0, *map(len, shards)])
        """The first row of each shard, and the number of all rows."""
        self.counts = [int(mask.sum()) for mask in masks]
        """The number of selected rows of each shard."""

    def __len__(self) -> int:
        return sum(self.counts)

    def rows(self) -> NDArray[np.int64]:
        """Return the selected rows, ascending."""
        found = [np.flatnonzero(mask) + start for mask, start in zip(self.masks, self.starts, strict=False)]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def embeddings(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the embeddings of some rows, which ascend."""
        ends = np.searchsorted(rows, self.starts)
        parts = [
            shard.embeddings(rows[first:last] - start)
            for shard, start, first, last in zip(self.shards, self.starts, ends[:-1], ends[1:], strict=False)
            if last > first
        ]
        return torch.cat(parts)


def search(selection: Selection, query: Float[Tensor, "q d"], k: int, *, normalize: bool) -> Ranking:
    """Return the k nearest of the selected rows for each query; k is at most their number, and above 0."""
    if len(selection) <= max(DIRECT, k):
        return rank_rows(selection, selection.rows(), query, k, normalize=normalize)
    step = max(1, CELLS // int(selection.starts[-1]))
    found = [
        rank_rows(selection, _candidates(selection, part, k, normalize=normalize), part, k, normalize=normalize)
        for part in query.split(step)
    ]
    return Ranking(torch.cat([each.indices for each in found]), torch.cat([each.distances for each in found]))


def _candidates(selection: Selection, query: Float[Tensor, "q d"], k: int, *, normalize: bool) -> NDArray[np.int64]:
    """Return the rows, ascending, that may be among the k nearest of any of the queries."""
    rows, highest = [], torch.full((len(query), k), torch.inf)
    passes: list[tuple[NDArray[np.int64] | int, Tensor, Tensor]] = []
    for shard, mask, start, count in zip(
        selection.shards, selection.masks, selection.starts.tolist(), selection.counts, strict=False
    ):
        if not count:
            continue
        places, coarse = _selected(shard.coarse, mask, count)
        distances, bound = approximate(query, coarse, normalize=normalize)
        if places is None and count < len(shard):
            distances[:, torch.from_numpy(~mask)] = torch.inf
        near = distances.topk(min(k, distances.shape[1]), dim=1, largest=False, sorted=False).values
        highest = torch.cat([highest, near + bound[:, None]], dim=1).topk(k, dim=1, largest=False).values
        passes.append((start if places is None else places + start, distances, bound))
    limit = highest.amax(1)
    for where, distances, bound in passes:
        reached = (~(distances > (limit + bound)[:, None])).any(0).nonzero().squeeze(1).numpy()
        rows.append(where[reached] if isinstance(where, np.ndarray) else where + reached)
    found = np.concatenate(rows)
    kept: NDArray[np.int64] = found[np.concatenate(list(selection.masks))[found]]
    return kept


def _selected(coarse: Quantized, mask: Mask, count: int) -> tuple[NDArray[np.int64] | None, Quantized]:
    """Return the selected rows of a shard and their 8 bits; ``None`` and all of them where they are many."""
    if count * SPARSE >= len(mask):
        return None, coarse
    places = np.flatnonzero(mask)
    index = torch.from_numpy(places)
    few = Quantized(coarse.values[index], coarse.scale[index], coarse.squared[index], coarse.center, coarse.error)
    return places, few


def rank_rows(
    selection: Selection, rows: NDArray[np.int64], query: Float[Tensor, "q d"], k: int, *, normalize: bool
) -> Ranking:
    """Return the k nearest of some rows, which ascend, by the ranking core; of many rows, those of each run first."""
    asked = _bare(query)
    if len(rows) > ROWS:
        runs = (rows[first : first + ROWS] for first in range(0, len(rows), ROWS))
        rows = np.unique(np.concatenate(list(_winners(selection, runs, asked, k, normalize=normalize))))
    ranking = top_k(asked, _bare(selection.embeddings(rows)), min(k, len(rows)), normalize=normalize)
    return Ranking(torch.from_numpy(rows)[ranking.indices], ranking.distances)


def _winners(
    selection: Selection, runs: Iterator[NDArray[np.int64]], asked: Embeddings, k: int, *, normalize: bool
) -> Iterator[NDArray[np.int64]]:
    for run in runs:
        found = top_k(asked, _bare(selection.embeddings(run)), min(k, len(run)), normalize=normalize).indices
        yield run[found.unique().numpy()]


def _bare(rows: Float[Tensor, "n d"]) -> Embeddings:
    return Embeddings(rows, ("",) * len(rows))


def places_of(selection: Selection, rows: Int[Tensor, " k"]) -> Iterator[tuple[Shard, int]]:
    """Yield the shard of each row, and the row's place in it."""
    numbers: NDArray[np.int64] = rows.numpy()
    shards = np.searchsorted(selection.starts, numbers, side="right") - 1
    for shard, place in zip(shards.tolist(), (numbers - selection.starts[shards]).tolist(), strict=True):
        yield selection.shards[shard], place
