"""Proposals of groups: rows that may be of one person, by k-reciprocal neighbors and by what is known of them.

Rows are compared by all of them, in blocks; neither N × N distances nor their order are ever in memory. Together from
the start are the rows of a tracklet, of an accepted group, and of a confirmed pair. Never together are the rows of a
rejected pair, of two accepted groups, and of tracklets of one camera that overlap in time: one person is not in two
places; on request, too, rows of one frame of one camera, by the frame number of a dataset. Detectors that find a person
twice in a frame make that wrong: in Market-1501 it halves the recall. A moment alone says nothing: it may be that of a
whole folder. Person IDs are neither used nor changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from passerby.gallery.feedback.clusters import Pair, clustered
from passerby.gallery.feedback.notes import Groups
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Mask, Where
from passerby.retrieval.jaccard import jaccard_within
from passerby.retrieval.rerank import Progress

RADIUS = 0.6
"""The largest mean Jaccard distance of two clusters that are joined; benchmarks/results/groups.json tells why."""
_K1, _K2, _LEAST_K1, _ROWS_PER_NEIGHBOR = 30, 6, 6, 60
_NONE = np.iinfo(np.int64).min
_LABELS = ("camid", "time", "tracklet", "seen_from", "seen_until")


@dataclass(frozen=True)
class Proposed:
    """The groups that were found, and what was known before."""

    groups: list[tuple[tuple[int, ...], int | None]]
    """The rows of each group by their IDs, and the accepted group that they extend."""
    rows: int
    """The number of rows that were compared."""
    contradictions: int
    """The number of pairs that must be together by tracklets and confirmed pairs, but cannot be."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows that a search may find, ascending by their IDs, and what is known of them."""

    ids: NDArray[np.int64]
    embeddings: torch.Tensor
    place: NDArray[np.int64]
    """The number of the place of each row's image."""
    camid: NDArray[np.int64]
    time: NDArray[np.int64]
    tracklet: NDArray[np.int64]
    seen_from: NDArray[np.int64]
    seen_until: NDArray[np.int64]


def proposed(
    store: Reader,
    known: Groups,
    pairs: Sequence[tuple[int, int, bool]],
    *,
    radius: float = RADIUS,
    frames: bool = False,
    progress: Progress | None = None,
) -> Proposed:
    """Return groups of rows that may be of one person, each of two sightings at least; deterministic.

    Args:
        known: the groups so far, of which the accepted ones stay.
        pairs: the confirmed and rejected pairs.
        radius: the largest mean Jaccard distance of two clusters that are joined.
        frames: whether rows of one frame of one camera are different people.
        progress: called with the number of rows encoded since the last call.
    """
    rows = store.undamaged(lambda: _read(store))
    if len(rows.ids) < 2:
        return Proposed([], len(rows.ids), 0)
    accepted = [group for group in known.groups if group.accepted]
    k1 = min(_K1, max(_LEAST_K1, len(rows.ids) // _ROWS_PER_NEIGHBOR))
    normalize = store.manifest.origin.normalize
    near = jaccard_within(rows.embeddings, k1=k1, k2=min(_K2, k1), normalize=normalize, progress=progress)
    must = [*_in_one_tracklet(rows), *_known(rows, ((a, b) for a, b, same in pairs if same))]
    must += _known(rows, (pair for group in accepted for pair in pairwise(group.rows)))
    cannot = [*_overlapping(rows), *_known(rows, ((a, b) for a, b, same in pairs if not same))]
    cannot += _in_one_frame(rows) if frames else ()
    of = {row: group.id for group in accepted for row in group.rows}
    grouped = {n: of[row] for n, row in enumerate(rows.ids.tolist()) if row in of}
    labels, contradictions = clustered(near, radius=radius, must=must, cannot=cannot, known=grouped)
    return Proposed(list(_groups(rows, labels, of)), len(rows.ids), contradictions)


def _read(store: Reader) -> _Rows:
    selection = store.select(Where())
    masks = list(zip(selection.shards, selection.masks, strict=True))
    places: dict[str, int] = {}
    columns = {name: _column(masks, name) for name in _LABELS}
    place = [
        places.setdefault(each, len(places))
        for shard, mask in masks
        for each in np.array(shard.column("place").to_pylist(), object)[mask]
    ]
    ids = np.concatenate([shard.ids[mask] for shard, mask in masks]) if masks else np.empty(0, np.int64)
    vectors = [shard.embeddings(np.flatnonzero(mask)) for shard, mask in masks if mask.any()]
    whole = torch.cat(vectors) if vectors else torch.empty(0, store.manifest.dimensions)
    return _Rows(ids, whole, np.array(place, np.int64), **columns)


def _column(masks: Sequence[tuple[Shard, Mask]], name: str) -> NDArray[np.int64]:
    parts = [shard.column(name).fill_null(_NONE).to_numpy(zero_copy_only=False)[mask] for shard, mask in masks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _known(rows: _Rows, pairs: Iterable[tuple[int, int]]) -> list[Pair]:
    """Return pairs of IDs as pairs of places among the rows; those of rows that are no longer there are left out."""
    place = {row: n for n, row in enumerate(rows.ids.tolist())}
    return [(place[a], place[b]) for a, b in pairs if a in place and b in place]


def _in_one_tracklet(rows: _Rows) -> Iterator[Pair]:
    for together in _alike(rows.tracklet):
        yield from pairwise(together)


def _in_one_frame(rows: _Rows) -> Iterator[Pair]:
    known = (rows.time != _NONE) & (rows.camid != _NONE) & (rows.tracklet == _NONE)
    frames = np.stack([rows.place, rows.camid, rows.time], axis=1)
    numbers = np.full(len(rows.ids), _NONE)
    if known.any():
        numbers[known] = np.unique(frames[known], axis=0, return_inverse=True)[1].reshape(-1)
    for together in _alike(numbers):
        yield from combinations(together, 2)


def _overlapping(rows: _Rows) -> Iterator[Pair]:
    """Yield a row of each of two tracklets that one camera saw at the same time."""
    known = (rows.tracklet != _NONE) & (rows.seen_from != _NONE) & (rows.camid != _NONE)
    first = np.flatnonzero(known)[np.unique(rows.tracklet[known], return_index=True)[1]]
    order = first[np.lexsort((rows.seen_from[first], rows.camid[first]))].tolist()
    for n, a in enumerate(order):
        for b in order[n + 1 :]:
            if rows.camid[b] != rows.camid[a] or rows.seen_from[b] > rows.seen_until[a]:
                break
            yield a, b


def _alike(numbers: NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the places of each number that occurs more than once."""
    order = np.argsort(numbers, kind="stable")
    order = order[numbers[order] != _NONE]
    if len(order):
        for part in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            if len(part) > 1:
                yield part.tolist()


def _groups(
    rows: _Rows, labels: NDArray[np.int64], of: Mapping[int, int]
) -> Iterator[tuple[tuple[int, ...], int | None]]:
    for places in _alike(labels):
        ids = rows.ids[places].tolist()
        extends = next((of[row] for row in ids if row in of), None)
        new = tuple(row for row in ids if row not in of)
        sightings = {int(rows.tracklet[n]) if rows.tracklet[n] != _NONE else ~n for n in places}
        if new and (extends is not None or len(sightings) > 1):
            yield new, extends
