"""The one process that writes a gallery: its lock, its process ID, and changes that happen wholly or not at all."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from passerby.errors import DatasetLayoutError, OutputError
from passerby.files import file_lock
from passerby.gallery.store import disk
from passerby.gallery.store.manifest import (
    NOTES,
    PARTIAL,
    SET_ASIDE,
    SHARDS,
    LostShard,
    Manifest,
    NoteEntry,
    NoteKind,
    ShardEntry,
    origin_values,
    read_manifest,
    write_manifest,
)
from passerby.gallery.store.shard import DamagedShardError, write_shard
from passerby.inference.embeddings_file import Origin

LOCK, WRITER = "lock", "writer"
"""The name of the lock, and of the file with the process ID of its holder."""
PATIENCE = 10.0
"""The seconds that a writer waits for another one."""
_PAUSE = 0.05


class Writer:
    """A change of a gallery, under its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        (folder / SHARDS).mkdir(exist_ok=True)  # an archive of an empty gallery has none

    def write(self, batch: pa.RecordBatch) -> ShardEntry:
        """Write a shard, which is in the gallery once a manifest that names it is committed."""
        return write_shard(self.folder / SHARDS, batch)

    def commit(
        self,
        shards: Sequence[ShardEntry],
        *,
        next_id: int | None = None,
        lost: Sequence[LostShard] | None = None,
        origin: Origin | None = None,
        notes: Mapping[NoteKind, NoteEntry] | None = None,
        engine: str | None = None,
    ) -> Manifest:
        """Replace the manifest by one with these shards; when this returns, the change is on the disk.

        Files of shards and notes that are named no more are removed after that.
        """
        disk.sync_folder(self.folder / SHARDS)
        former = self.manifest
        manifest = former.model_copy(
            update={
                "version": former.version + 1,
                "shards": tuple(shards),
                "shards_version": former.version + 1 if tuple(shards) != former.shards else former.shards_version,
                "next_id": former.next_id if next_id is None else next_id,
                "made_by": former.made_by if origin is None else origin_values(origin),
                "lost": former.lost if lost is None else tuple(lost),
                "notes": former.notes if notes is None else dict(notes),
                "engine": former.engine if engine is None else engine,
            }
        )
        write_manifest(self.folder, manifest)
        self.manifest = manifest
        gone = [self.folder / SHARDS / name for name in sorted(former.names() - manifest.names())]
        gone += [self.folder / NOTES / name for name in sorted(former.note_names() - manifest.note_names())]
        disk.remove(gone)
        return manifest

    def set_aside(self, damaged: Sequence[DamagedShardError]) -> Manifest:
        """Move damaged shards out of the gallery, and record how many rows were lost."""
        reasons = {each.name: each.reason for each in damaged}
        found = [entry for entry in self.manifest.shards if entry.name in reasons]
        if not found:
            return self.manifest
        kept = [entry for entry in self.manifest.shards if entry.name not in reasons]
        lost = [LostShard(name=entry.name, rows=entry.rows, reason=reasons[entry.name]) for entry in found]
        aside = self.folder / SET_ASIDE
        aside.mkdir(exist_ok=True)
        for entry in found:
            with suppress(FileNotFoundError):
                (self.folder / SHARDS / entry.name).replace(aside / entry.name)
        disk.sync_folder(aside)
        return self.commit(kept, lost=[*self.manifest.lost, *lost])

    def clean(self) -> None:
        """Remove what a killed or failed writer left: files that the manifest on the disk does not name."""
        left = unnamed(self.folder, read_manifest(self.folder))
        left += [path for path in (self.folder / PARTIAL,) if path.exists()]
        if left:
            disk.remove(left)


def unnamed(folder: Path, manifest: Manifest) -> list[Path]:
    """Return the files of shards and notes that a manifest does not name."""
    named = {SHARDS: manifest.names(), NOTES: manifest.note_names()}
    places = [(folder / place, names) for place, names in named.items() if (folder / place).is_dir()]
    return [path for place, names in places for path in place.iterdir() if path.name not in names]


@contextmanager
def writing(folder: Path, *, patience: float | None = None) -> Iterator[Writer]:
    """Hold the lock of a gallery, clean what a killed writer left, and yield what changes the gallery.

    Args:
        patience: the seconds to wait for another writer (default :data:`PATIENCE`).

    Raises:
        OutputError: if another process writes the gallery, with its process ID; or if it cannot be written.
    """
    try:
        with _locked(folder, PATIENCE if patience is None else patience):
            writer = Writer(folder)
            writer.clean()
            try:
                yield writer
            finally:
                with suppress(OSError, DatasetLayoutError):
                    writer.clean()
    except OSError as error:
        raise OutputError(
            f"cannot write the gallery '{folder}': {error.strerror or error}. Fix: make room, or check the disk; "
            "nothing that was acknowledged is lost"
        ) from error


@contextmanager
def _locked(folder: Path, patience: float) -> Iterator[None]:
    end = time.monotonic() + patience
    while True:
        lock = file_lock(folder / LOCK, otherwise="held")
        try:
            lock.__enter__()
            break
        except OutputError as error:
            if str(error) != "held":
                raise
            if time.monotonic() >= end:
                raise OutputError(
                    f"the gallery '{folder}' is being written by another process: {_holder(folder)}. Fix: wait for it, "
                    "or end it"
                ) from None
            time.sleep(_PAUSE)
    name = folder / WRITER
    try:
        name.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            name.unlink()
        lock.__exit__(None, None, None)


def _holder(folder: Path) -> str:
    try:
        return (folder / WRITER).read_text(encoding="utf-8") or "it is unknown which"
    except OSError:
        return "it is unknown which"
