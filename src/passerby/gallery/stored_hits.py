"""Rows of a gallery on disk as results of a search."""

from __future__ import annotations

from dataclasses import dataclass

from passerby.data.attributes.query import AttributeQuery
from passerby.gallery.store.results import Found
from passerby.gallery.store.table import TAGS
from passerby.gallery.stored_images import reference
from passerby.inference.attributes import log_probability
from passerby.types import Hit, Role

_HIT = ("place", "path", "pid", "camid", "role", "id", "taken", "tracklet", "tags", "collection", "content")
"""The columns that a hit is made of."""


@dataclass(frozen=True, slots=True)
class StoredHit(Hit):
    """One result of a search in a gallery on disk; :attr:`path` is ``PLACE::NAME``, or the path of a file."""

    id: int = -1
    """The row's ID, which never changes and is never used again."""
    taken: int | None = None
    """The moment when the image was taken, in milliseconds of Unix time; ``None`` if it is unknown."""
    tracklet: int | None = None
    """The ID of the first row of the same tracklet; ``None`` if the image is of none."""
    tags: tuple[str, ...] = ()
    collection: str | None = None
    content: str = ""
    """The SHA-256 of the image's file."""
    others: int | None = None
    """The number of further rows that it stands for; ``None`` where each row is a hit."""


def stored_hit(rank: int, found: Found, asked: AttributeQuery | None = None, others: int | None = None) -> StoredHit:
    """Return what is known of a row."""
    row = {name: found.shard.column(name)[found.place].as_py() for name in _HIT}
    probability = None
    if asked is not None:
        shares = found.shard.part("attributes")[found.place : found.place + 1]
        probability = log_probability(shares, asked).exp().item()
    return StoredHit(
        rank=rank,
        path=reference(row["place"], row["path"]),
        distance=found.distance,
        pid=row["pid"],
        camid=row["camid"],
        probability=probability,
        role=Role(row["role"]),
        id=row["id"],
        taken=row["taken"],
        tracklet=row["tracklet"],
        tags=tuple(filter(None, row["tags"].split(TAGS))),
        collection=row["collection"],
        content=row["content"].hex(),
        others=others,
    )
