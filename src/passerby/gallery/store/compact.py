"""The choice of shards to merge: small neighbors when they are many, so that each row is rewritten a few times only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from passerby.gallery.store.manifest import ShardEntry
from passerby.gallery.store.shard import Shard

SHARD_ROWS = 1 << 16
"""The largest number of rows of a shard: what is rewritten to delete one row, and is in memory to be written."""
FEW = 8
"""The number of small neighbors that are merged, and the ratio of the sizes at which rows are rewritten."""


def run_to_merge(rows: Sequence[int]) -> slice | None:
    """Return the longest run of shards to be merged, by their numbers of rows; ``None`` if there is none.

    >>> run_to_merge([64, 1, 1, 1, 1, 1, 1, 1, 1])
    slice(1, 9, None)
    """
    size = FEW
    while size <= SHARD_ROWS:
        for first, last in _runs(rows, size):
            if last - first >= FEW:
                return slice(first, last)
        size *= FEW
    return None


def compacted(
    shards: Sequence[Shard], merged: Callable[[Sequence[Shard]], list[ShardEntry]]
) -> list[ShardEntry] | None:
    """Return the shards with one run of small ones merged; ``None`` if there is none."""
    run = run_to_merge([len(shard) for shard in shards])
    if run is None:
        return None
    entries = [shard.entry for shard in shards]
    return [*entries[: run.start], *merged(shards[run]), *entries[run.stop :]]


def _runs(rows: Sequence[int], size: int) -> list[tuple[int, int]]:
    """Return first and last of the runs of shards with fewer than ``size`` rows."""
    found: list[tuple[int, int]] = []
    first = 0
    for place, count in enumerate([*rows, size]):
        if count >= size:
            if place > first:
                found.append((first, place))
            first = place + 1
    return found
