"""What is known of the rows of a gallery that tells whether two of them can show one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.gallery.store.search import Selection
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Where
from passerby.types import Embeddings, Role

UNKNOWN = np.iinfo(np.int64).min
"""The value of what is not known of a row."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """The labels of the rows that a search may find, each with one value per row, and how to read embeddings."""

    ids: Numbers
    """The IDs, ascending; in memory the places of the rows."""
    pid: Numbers
    distractor: NDArray[np.bool_]
    camid: Numbers
    tracklet: Numbers
    seen_from: Numbers
    seen_until: Numbers
    read: Callable[[Numbers], Tensor]
    """The function that returns the embeddings of some rows, which ascend."""

    def __len__(self) -> int:
        return len(self.pid)

    @classmethod
    def of(cls, embeddings: Embeddings) -> Rows:
        """Return the rows of a gallery in memory, which holds no junk."""
        n = len(embeddings)
        unknown = np.full(n, UNKNOWN)
        roles = np.zeros(n) if embeddings.roles is None else embeddings.roles.cpu().numpy()
        pid, camid = (
            unknown if values is None else values.cpu().numpy().astype(np.int64)
            for values in (embeddings.pids, embeddings.camids)
        )
        return cls(
            np.arange(n),
            np.where(pid >= 0, pid, UNKNOWN),
            roles == int(Role.DISTRACTOR),
            np.where(camid >= 0, camid, UNKNOWN),
            unknown,
            unknown,
            unknown,
            lambda rows: embeddings.embedding[torch.from_numpy(rows)].float(),
        )

    @classmethod
    def of_shards(cls, shards: Sequence[Shard]) -> Rows:
        """Return the rows of a gallery on disk, without junk."""
        selection = Selection(shards, [Where().mask(shard) for shard in shards])
        chosen = selection.rows()
        names = ("id", "pid", "camid", "tracklet", "seen_from", "seen_until", "role")
        ids, pid, camid, tracklet, seen_from, seen_until, roles = (_column(shards, name)[chosen] for name in names)
        return cls(
            ids,
            np.where(pid >= 0, pid, UNKNOWN),
            roles == int(Role.DISTRACTOR),
            np.where(camid >= 0, camid, UNKNOWN),
            tracklet,
            seen_from,
            seen_until,
            lambda rows: selection.embeddings(chosen[rows]),
        )


def _column(shards: Sequence[Shard], name: str) -> Numbers:
    parts = [np.asarray(shard.column(name).cast(pa.int64()).fill_null(UNKNOWN)) for shard in shards]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
