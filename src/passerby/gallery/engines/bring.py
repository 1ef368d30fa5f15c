"""The bringing of an engine to a version of its gallery: what it lacks is added, what is gone is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from passerby.gallery.engines.protocol import NOTHING, Engine, EngineError, Held, Ids, Rows
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.table import TAGS
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import Role

FOREIGN = "the engine may lack rows: a copy of the gallery has changed it, or rows that were lost are back"
"""The words on an engine whose IDs cannot be relied on."""
_RUN = 4096
"""The number of rows that are sent at a time."""


@dataclass(frozen=True)
class Brought:
    """The rows that an engine was sent."""

    added: int
    deleted: int


def bring(
    engine: Engine, shards: Sequence[Shard], after: Held, *, normalize: bool, versions: frozenset[int],
    before: int | None = None, deleted: Ids | None = None, progress: Callable[[int], object] | None = None,
) -> Brought:  # fmt: skip
    """Update an engine to what a gallery holds.

    One that was brought to a version of another copy of the gallery may hold other vectors under the same IDs. It is
    emptied first, and only where that is asked for, that is, where no last change is given.

    Args:
        engine: the engine.
        shards: all shards of the gallery.
        after: the gallery's newest ID and the version of its shards.
        normalize: whether embeddings are L2-normalized before they are compared.
        versions: the versions that the shards had, as far as the gallery knows.
        before: the version that the shards had before the last change. An engine that was brought to it needs that
            change only; any other is compared with the shards ID by ID.
        deleted: the rows that the last change has deleted.
        progress: called with the number of rows after each run.

    Raises:
        EngineError: if the engine fails; it is brought there by the next call.
    """
    held = engine.held(after.last_id, after.version)
    if held == after:
        return Brought(0, 0)
    if held.last_id >= 0 and held.version not in versions:
        if before is not None:
            raise EngineError(FOREIGN)
        engine.drop()
        held = NOTHING
    here = _ids_of(shards)
    if before is not None and held.version == before and deleted is not None:
        missing, surplus = here[here > held.last_id], deleted
    else:
        there = engine.ids(after.last_id + 1)
        missing, surplus = np.setdiff1d(here, there), np.setdiff1d(there, here)
        # rows above what is recorded are of a write that failed: they are sent again
        torn = there[there > held.last_id]
        missing, surplus = np.union1d(missing, np.intersect1d(torn, here)), np.union1d(surplus, torn)
    rows = rows_with(shards, missing, normalize=normalize, progress=progress)
    engine.write(rows, surplus.tolist(), after)
    return Brought(len(missing), len(surplus))


def rows_with(
    shards: Sequence[Shard], ids: Ids, *, normalize: bool, progress: Callable[[int], object] | None = None
) -> Iterator[Rows]:
    """Yield the rows with some IDs, some thousand at a time."""
    for shard in shards:
        places = np.flatnonzero(np.isin(shard.ids, ids))
        for first in range(0, len(places), _RUN):
            rows = _rows(shard, places[first : first + _RUN], normalize=normalize)
            yield rows
            if progress:
                progress(len(rows))


def all_rows(shards: Sequence[Shard], *, normalize: bool) -> Iterator[Rows]:
    """Yield all rows of a gallery, some thousand at a time."""
    return rows_with(shards, _ids_of(shards), normalize=normalize)


def _ids_of(shards: Sequence[Shard]) -> Ids:
    return np.concatenate([shard.ids for shard in shards]) if shards else np.empty(0, np.int64)


def _rows(shard: Shard, places: Ids, *, normalize: bool) -> Rows:
    vectors = shard.embeddings(places)
    columns = {name: shard.column(name).take(places).to_pylist() for name in _LABELS}
    return Rows(
        ids=shard.ids[places],
        vectors=l2_normalize(vectors) if normalize else vectors,
        junk=[role == int(Role.JUNK) for role in columns["role"]],
        cameras=columns["camid"],
        people=columns["pid"],
        taken=columns["taken"],
        tags=[[tag for tag in (text or "").split(TAGS) if tag] for text in columns["tags"]],
        collections=columns["collection"],
    )


_LABELS = ("role", "camid", "pid", "taken", "tags", "collection")
