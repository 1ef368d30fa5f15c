"""All that a gallery on disk stores of a person, written to a folder: what a request for access to data asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from passerby.errors import DatasetLayoutError, ImageError, OutputError, without_fix
from passerby.files import atomic_directory
from passerby.gallery.audit import Act
from passerby.gallery.feedback.notes import Groups, Pairs
from passerby.gallery.store import Store
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.table import DERIVED, TAGS, VECTORS
from passerby.gallery.stored_images import StoredImages, reference

_MOMENTS = ("taken", "added", "seen_from", "seen_until")
"""The columns that are milliseconds of Unix time."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export."""

    rows: int
    thumbnails: int
    images: int
    """The number of images that were copied."""
    unread: dict[str, str]
    """The images that could not be copied, and why."""


def export_subject(
    store: Store, ids: Sequence[int], folder: str | Path, images: StoredImages | str, *, conditions: str = ""
) -> Exported:
    """Write all that is stored of some rows to a new folder; the gallery's log records it.

    ``rows.json`` holds every column of each row but its vectors and its thumbnail, and what people have said about the
    rows; ``embedding.npy`` (and
    ``attributes.npy``, ``local.npy`` where they are stored) one row of float32 each, in the same order; ``thumbnails/``
    and ``images/`` files named by the IDs of the rows.

    Args:
        images: the source of the images, or why none of them may be read.
        conditions: how the rows were chosen, in words.

    Raises:
        OutputError: if the folder exists, it cannot be written, or the export cannot be logged.
    """
    store.refresh()
    with atomic_directory(folder) as partial:
        try:
            parts = store.undamaged(lambda: _parts(store, ids))
            result = _write(partial, store, parts, images)
        except OSError as error:
            raise OutputError(
                f"cannot write '{folder}': {error.strerror or error}. Fix: make room, or choose another place"
            ) from None
        store.log.append(Act("export", conditions), result.rows, store.version, synchronize=True)
    return result


def _parts(store: Store, ids: Sequence[int]) -> list[tuple[Shard, np.ndarray[Any, np.dtype[np.int64]]]]:
    """Return the places of the rows in each shard that has any; their bytes are checked."""
    found = []
    for shard in store.shards:
        places = np.flatnonzero(np.isin(shard.ids, np.array(list(ids), np.int64)))
        if len(places):
            shard.check()
            found.append((shard, places))
    return found


def _write(partial: Path, store: Store, parts: Sequence[tuple[Shard, Any]], images: StoredImages | str) -> Exported:
    rows = [row for shard, places in parts for row in _rows(shard, places)]
    for name in VECTORS:
        found = [_vectors(shard, name)[places] for shard, places in parts if name in shard.batch.schema.names]
        if found:
            np.save(partial / f"{name}.npy", np.concatenate(found))
    thumbnails = _write_thumbnails(partial, parts)
    copied, unread = _copy_images(partial, rows, images)
    about = {
        "gallery": str(store.path),
        "version": store.version,
        "exported": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": store.manifest.made_by,
        "vectors": "the .npy files have one row for each of these rows, in this order",
        "images_not_copied": unread,
        **_said(store, rows),
        "rows": rows,
    }
    text = json.dumps(about, indent=1, ensure_ascii=False, default=str)
    (partial / "rows.json").write_text(text, encoding="utf-8", errors="backslashreplace")
    return Exported(len(rows), thumbnails, copied, unread)


def _said(store: Store, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what people have said about rows, without other rows of the same groups."""
    ids, contents = {row["id"] for row in rows}, {row["content"] for row in rows}
    pairs, groups = store.note("pairs"), store.note("groups")
    answers = pairs.judgements if isinstance(pairs, Pairs) else ()
    proposed = groups.groups if isinstance(groups, Groups) else ()
    return {
        "answers": [each.model_dump(mode="json") for each in answers if {each.a, each.b} & (ids | contents)],
        "groups": [
            {"id": each.id, "accepted": each.accepted, "rows": sorted(ids & set(each.rows))}
            for each in proposed
            if ids & set(each.rows)
        ],
    }


def _rows(shard: Shard, places: Any) -> list[dict[str, Any]]:
    """Return the columns of some rows as plain values, moments in words."""
    names = [name for name in shard.batch.schema.names if name not in (*VECTORS, *DERIVED, "thumbnail")]
    plain: list[dict[str, Any]] = shard.batch.select(names).take(pa.array(places)).to_pylist()
    for row in plain:
        row["content"] = row["content"].hex()
        row["tags"] = [tag for tag in (row["tags"] or "").split(TAGS) if tag]
        row["image"] = reference(row["place"], row["path"])
        for name in _MOMENTS:
            if row.get(name) is not None:
                row[f"{name}_utc"] = _in_words(row[name])
    return plain


def _in_words(moment: int) -> str | None:
    try:
        return datetime.fromtimestamp(moment / 1000, timezone.utc).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _vectors(shard: Shard, name: str) -> Any:
    if name == "embedding":
        return shard.embeddings(np.arange(len(shard))).numpy()
    return shard.part(name).numpy()


def _write_thumbnails(partial: Path, parts: Sequence[tuple[Shard, Any]]) -> int:
    count = 0
    for shard, places in parts:
        for place in places.tolist():
            if (content := shard.thumbnail(place)) is not None:
                (partial / "thumbnails").mkdir(exist_ok=True)
                (partial / "thumbnails" / f"{shard.ids[place]}.jpg").write_bytes(content)
                count += 1
    return count


def _copy_images(
    partial: Path, rows: Sequence[dict[str, Any]], images: StoredImages | str
) -> tuple[int, dict[str, str]]:
    """Copy the images that can be read; return their number, and why the others cannot."""
    if isinstance(images, str):
        return 0, dict.fromkeys((row["image"] for row in rows), images)
    unread: dict[str, str] = {}
    for row in rows:
        try:
            content = images.read(row["image"])
        except (DatasetLayoutError, ImageError) as error:
            unread[row["image"]] = without_fix(error)
            continue
        (partial / "images").mkdir(exist_ok=True)
        (partial / "images" / f"{row['id']}{Path(row['path']).suffix.lower()[:8]}").write_bytes(content)
    return len(rows) - len(unread), unread
