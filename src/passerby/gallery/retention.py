"""What is to leave a gallery on disk, and what it holds: rows by conditions, rows whose images are gone, a summary."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.errors import ConfigError, DatasetLayoutError
from passerby.gallery.store import Store
from passerby.gallery.store.results import Found
from passerby.gallery.store.table import TAGS
from passerby.gallery.store.where import Mask, Where, moment_in_words, was_before
from passerby.gallery.stored_hits import StoredHit, stored_hit
from passerby.gallery.stored_images import StoredImages

_DAY = 24 * 3600 * 1000
_MOST_DAYS = 100_000
"""The most days to keep: more than there have been photographs."""


def rows_that(store: Store, where: Where, *, before: int | None = None) -> list[int]:
    """Return the IDs of the rows, junk too, that satisfy conditions.

    Args:
        before: the moment before which they were taken or, where that is unknown, added.
    """
    store.refresh()
    every = replace(where, junk=True)
    found: list[int] = []
    for shard in store.shards:
        mask: Mask = every.mask(shard)
        if before is not None:
            mask &= was_before(shard, before)
        found += shard.ids[mask].tolist()
    return found


def days_ago(days: float) -> int:
    """Return the moment so many days ago, in milliseconds of Unix time.

    Raises:
        ConfigError: if the number is negative, or greater than :data:`_MOST_DAYS`.
    """
    if not 0 <= days <= _MOST_DAYS:
        raise ConfigError(f"got {days} days, expected 0 to {_MOST_DAYS:,}. Fix: give the number of days to keep")
    return int(time.time() * 1000 - days * _DAY)


def described(store: Store, ids: list[int], most: int) -> list[StoredHit]:
    """Return what is known of the first rows of some IDs."""
    wanted = np.array(sorted(ids)[:most], np.int64)
    found = [
        Found(shard, int(place), 0.0) for shard in store.shards for place in np.flatnonzero(np.isin(shard.ids, wanted))
    ]
    return [stored_hit(rank, each) for rank, each in enumerate(found, 1)]


@dataclass(frozen=True)
class Gone:
    """The rows whose images are no longer where they were."""

    ids: list[int]
    """The rows whose place exists, but not their image."""
    places: dict[str, list[int]]
    """The rows of each place that does not exist or holds none of its images, as of a disk that is not mounted."""


def gone(store: Store, images: StoredImages) -> Gone:
    """Return the rows whose images are gone; images that never were files stay."""
    store.refresh()
    absent, places, present = dict[str, list[int]](), dict[str, list[int]](), {""}
    for shard in store.shards:
        columns = (shard.column(name).to_pylist() for name in ("place", "path"))
        for row, place, path in zip(shard.ids.tolist(), *columns, strict=True):
            if not place and not path.startswith("/") and "::" not in path:
                continue
            try:
                if images.holds(place, path) if place else images.has(path):
                    present.add(place)
                else:
                    absent.setdefault(place, []).append(row)
            except DatasetLayoutError:
                places.setdefault(place, []).append(row)
    places |= {place: rows for place, rows in absent.items() if place not in present}
    return Gone(sorted(row for place, rows in absent.items() if place in present for row in rows), places)


def summary(store: Store) -> dict[str, Any]:
    """Return what a gallery holds as plain values for JSON."""
    store.refresh()
    origin, manifest = store.manifest.origin, store.manifest
    columns = ("pid", "camid", "tags", "collection", "place", "role")
    counts = {name: Counter[Any]() for name in columns}
    moments: list[int] = []
    tracklets, thumbnails = set[int](), 0
    for shard in store.shards:
        for name in columns:
            counts[name].update(shard.column(name).to_pylist())
        known = shard.column("taken").drop_null().to_numpy()
        moments += [int(known.min()), int(known.max())] if len(known) else []
        tracklets.update(shard.column("tracklet").drop_null().to_pylist())
        thumbnails += len(shard) - shard.column("thumbnail").null_count
    return {
        "gallery": str(store.path),
        "version": manifest.version,
        "images": manifest.rows,
        "junk": counts["role"][1],
        "people": len(set(counts["pid"]) - {None, -1}),
        "tracklets": len(tracklets),
        "thumbnails": thumbnails,
        "cameras": sorted(camera for camera in counts["camid"] if camera is not None),
        "collections": sorted(name for name in counts["collection"] if name),
        "tags": sorted({tag for tags in counts["tags"] for tag in tags.split(TAGS) if tag}),
        "places": sorted(place for place in counts["place"] if place),
        "taken": [moment_in_words(moment) for moment in (min(moments), max(moments))] if moments else None,
        "shards": len(manifest.shards),
        "bytes": sum(entry.bytes for entry in manifest.shards),
        "lost": store.lost,
        "log": sum(1 for _ in store.log.lines()),
        "model": {"name": origin.model, "fingerprint": origin.fingerprint, "size": list(origin.size)},
        "dimensions": manifest.dimensions,
    }
