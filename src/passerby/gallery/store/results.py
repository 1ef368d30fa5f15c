"""The results of changes of a gallery on disk, and of searches in it."""

from __future__ import annotations

from dataclasses import dataclass

from passerby.gallery.store.shard import Shard


@dataclass(frozen=True, slots=True)
class Added:
    """The result of adding rows."""

    ids: tuple[int, ...]
    """The IDs of the new rows."""
    known: int
    """The number of images that the gallery holds already, by their content, or that were given twice."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of deleting rows."""

    rows: int
    aside: int = 0
    """The number of rows of damaged shards, set aside before, that were removed, too."""
    scanned: int | None = None
    """The number of bytes that were searched for the deleted vectors afterwards; ``None`` if they were not."""
    found: int = 0
    """The number of deleted vectors that are still somewhere in the folder, whole or in part."""
    copies: int = 0
    """The number of deleted vectors that equal those of rows that stay, so that they are not looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """One row that a search found."""

    shard: Shard
    place: int
    """The row within the shard."""
    distance: float
