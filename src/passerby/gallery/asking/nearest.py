"""The rows nearest to a query as it is asked: of several images, ranked again, one of each tracklet, person or group.

Rows and their order are those of comparing all rows, whatever the question, but for what is ranked again: re-ranking
and distances of stripes are of the nearest rows by embedding, ``max(400, 2k)`` of them or all that may be found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from passerby.gallery.asking.ask import Ask
from passerby.gallery.asking.one_per import Best, one_per
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.results import Found
from passerby.gallery.store.where import Where
from passerby.retrieval.ranking import top_k
from passerby.retrieval.rerank import check_neighbors
from passerby.types import Embeddings

CANDIDATES = 400
"""The least number of rows that are ranked again."""


def nearest(store: Reader, query: Embeddings, k: int, where: Where, how: Ask) -> list[Best]:
    """Return the k nearest rows, or fewer where fewer satisfy the conditions; nearest first.

    Raises:
        ProtocolError: as :func:`passerby.retrieval.ranking.top_k`.
    """
    if how.one_per is not None:
        kind = how.one_per
        return store.undamaged(lambda: one_per(store, _search(store, query, k, where, how), k, where, kind))
    return [Best(found) for found in store.undamaged(lambda: _search(store, query, k, where, how)(k))]


def _search(store: Reader, query: Embeddings, k: int, where: Where, how: Ask) -> Callable[[int], list[Found]]:
    """Return what returns so many of the nearest rows as a query is asked, or all that there are."""
    if not how.orders_again:
        return lambda count: combined(store, query.embedding, count, where)
    ordered = ordered_again(store, query, combined(store, query.embedding, max(CANDIDATES, 2 * k), where), how)
    return lambda count: ordered[:count]


def combined(store: Reader, query: Tensor, k: int, where: Where) -> list[Found]:
    """Return the k rows whose distance to the nearest of some queries is least.

    Each of them is among the k nearest of the query that it is nearest to: a row that is nearer to this query is
    nearer to the nearest one, too.
    """
    lists = store.search(query, k, where)
    if len(lists) == 1:
        return lists[0]
    best: dict[int, Found] = {}
    for each in chain.from_iterable(lists):
        row = int(each.shard.ids[each.place])
        if row not in best or each.distance < best[row].distance:
            best[row] = each
    return [found for _, found in sorted(best.items(), key=lambda each: (each[1].distance, each[0]))[:k]]


def ordered_again(store: Reader, query: Embeddings, candidates: Sequence[Found], how: Ask) -> list[Found]:
    """Return candidates by another distance, or re-ranked among themselves and the queries.

    Raises:
        ProtocolError: if re-ranking by so many neighbors needs more candidates.
    """
    if not candidates:
        return []
    rows = sorted(candidates, key=lambda each: int(each.shard.ids[each.place]))  # ties go to the earlier row
    if how.rerank is not None:
        check_neighbors(how.rerank, len(query) + len(rows))
    ranking = top_k(
        query, _embeddings(rows, with_local=how.distance != "global"), len(rows),
        distance=how.distance, normalize=store.manifest.origin.normalize, rerank=how.rerank,
    )  # fmt: skip
    distances = torch.full((len(rows),), torch.inf).scatter_reduce(
        0, ranking.indices.flatten(), ranking.distances.flatten(), "amin"
    )
    order = distances.sort(stable=True)
    pairs = zip(order.indices.tolist(), order.values.tolist(), strict=True)
    return [Found(rows[row].shard, rows[row].place, distance) for row, distance in pairs]


def _embeddings(rows: Sequence[Found], *, with_local: bool) -> Embeddings:
    """Return the embeddings of some rows, which are in the order of their shards."""
    vectors, stripes = [], []
    first = 0
    while first < len(rows):
        shard = rows[first].shard
        last = first
        while last < len(rows) and rows[last].shard is shard:
            last += 1
        places = np.array([each.place for each in rows[first:last]], np.int64)
        vectors.append(shard.embeddings(places))
        if with_local:
            stripes.append(shard.part("local")[torch.from_numpy(places)])
        first = last
    return Embeddings(torch.cat(vectors), ("",) * len(rows), local=torch.cat(stripes) if stripes else None)
