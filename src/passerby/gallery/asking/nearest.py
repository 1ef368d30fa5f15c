"""The rows nearest to a query as it is asked: of several images, ranked again, one of each tracklet, person or group.

Rows and their order are those of comparing all rows, whatever the question, but for what is ranked again: re-ranking
and distances of stripes are of the nearest rows by embedding, ``max(400, 2k)`` of them or all that may be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from passerby.gallery.asking.ask import Ask, OnePer
from passerby.gallery.feedback.notes import Groups
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.results import Found
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Where
from passerby.retrieval.ranking import top_k
from passerby.retrieval.rerank import check_neighbors
from passerby.types import Embeddings, Role

CANDIDATES = 400
"""The least number of rows that are ranked again."""
_TIMES = 4
"""The number of rows for each hit that are looked at first, where one of each person is to be shown."""
_KEY_COLUMNS = {"tracklet": "tracklet", "person": "pid"}


@dataclass(frozen=True, slots=True)
class Best:
    """One row that stands for further ones."""

    found: Found
    others: int | None = None
    """The number of further rows of the same tracklet, person or group that satisfy the conditions."""


def nearest(store: Reader, query: Embeddings, k: int, where: Where, how: Ask) -> list[Best]:
    """Return the k nearest rows, or fewer where fewer satisfy the conditions; nearest first.

    Raises:
        ProtocolError: as :func:`passerby.retrieval.ranking.top_k`.
    """
    if how.orders_again:
        count = max(CANDIDATES, 2 * k)
        ordered = store.undamaged(
            lambda: ordered_again(store, query, combined(store, query.embedding, count, where), how)
        )
        if how.one_per is None:
            return [Best(found) for found in ordered[:k]]
        return one_per(store, lambda _: ordered, k, where, how.one_per)
    if how.one_per is None:
        return [Best(found) for found in combined(store, query.embedding, k, where)]
    return one_per(store, lambda count: combined(store, query.embedding, count, where), k, where, how.one_per)


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


def one_per(store: Reader, search: Callable[[int], list[Found]], k: int, where: Where, kind: OnePer) -> list[Best]:
    """Return the best row of each tracklet, person or group, the k best ones; a row that is of none stands for itself.

    Args:
        search: what returns so many of the nearest rows, or all that there are.
    """
    groups = _groups_of(store) if kind == "group" else {}
    count = _TIMES * k
    while True:
        found = search(count)
        best: dict[tuple[str, int], Found] = {}
        for each in found:
            best.setdefault(_key(each, kind, groups), each)
        if len(best) >= k or len(found) < count:
            break
        count *= _TIMES
    kept = dict(list(best.items())[:k])
    sizes = store.undamaged(lambda: _sizes(store, where, kind, {number for of, number in kept if of == kind}, groups))
    return [Best(each, max(0, sizes[key[1]] - 1) if key[0] == kind else 0) for key, each in kept.items()]


def _key(found: Found, kind: OnePer, groups: Mapping[int, int]) -> tuple[str, int]:
    """Return what a row is one of."""
    row = int(found.shard.ids[found.place])
    if kind == "group":
        number = groups.get(row)
    else:
        number = found.shard.column(_KEY_COLUMNS[kind])[found.place].as_py()
        if kind == "person" and found.shard.column("role")[found.place].as_py() != int(Role.PERSON):
            number = None  # distractors share a person ID
    return ("row", row) if number is None else (kind, number)


def _sizes(store: Reader, where: Where, kind: OnePer, wanted: set[int], groups: Mapping[int, int]) -> dict[int, int]:
    """Return how many of the rows that satisfy conditions are of each tracklet, person or group."""
    sizes = dict.fromkeys(wanted, 0)
    selection = store.select(where)
    for shard, mask in zip(selection.shards, selection.masks, strict=True):
        numbers = _numbers(shard, kind, groups)
        here, counts = np.unique(numbers[mask & np.isin(numbers, list(wanted))], return_counts=True)
        for number, count in zip(here.tolist(), counts.tolist(), strict=True):
            sizes[number] += count
    return sizes


def _numbers(shard: Shard, kind: OnePer, groups: Mapping[int, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the number of each row's tracklet, person or group; the least number for none."""
    none = np.iinfo(np.int64).min
    if kind == "group":
        return np.array([groups.get(row, none) for row in shard.ids.tolist()], np.int64)
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]] = (
        shard.column(_KEY_COLUMNS[kind]).fill_null(none).to_numpy(zero_copy_only=False).copy()
    )
    if kind == "person":
        numbers[shard.column("role").to_numpy() != int(Role.PERSON)] = none
    return numbers


def _groups_of(store: Reader) -> dict[int, int]:
    note = store.note("groups")
    assert isinstance(note, Groups)
    return {row: group.id if group.extends is None else group.extends for group in note.groups for row in group.rows}


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
