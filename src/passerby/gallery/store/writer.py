"""The one process that writes a gallery: its lock, its process ID, and changes that happen wholly or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from passerby.errors import DatasetLayoutError, OutputError
from passerby.files import file_lock
from passerby.gallery.audit import Act, AuditLog, LogMark
from passerby.gallery.store import disk
from passerby.gallery.store.compact import SHARD_ROWS
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
from passerby.gallery.store.table import seal
from passerby.inference.embeddings_file import Origin

LOCK, WRITER = "lock", "writer"
"""The name of the lock, and of the file with the process ID of its holder."""
PATIENCE = 10.0
"""The seconds that a writer waits for another one."""
_PAUSE = 0.05
_LAG = 256
"""The number of changes that an engine may lag behind, and still be asked."""
_BITS = 53
"""The bits of a random number that every reader of JSON keeps."""
_PARTIAL_FILE = re.compile(r"\.[0-9a-f]{16}\.(arrow|json)\.partial")


class Writer:
    """A change of a gallery, under its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        (folder / SHARDS).mkdir(exist_ok=True)  # an archive of an empty gallery has none

    def write(self, batch: pa.RecordBatch) -> ShardEntry:
        """Write a shard, which is in the gallery once a manifest that names it is committed."""
        return write_shard(self.folder / SHARDS, batch)

    def write_rows(self, table: pa.Table) -> list[ShardEntry]:
        """Write plain columns as shards (:mod:`~passerby.gallery.store.table`)."""
        normalize = self.manifest.origin.normalize
        starts = range(0, len(table), SHARD_ROWS)
        return [self.write(seal(table.slice(first, SHARD_ROWS), normalize=normalize)) for first in starts]

    def commit(
        self,
        shards: Sequence[ShardEntry],
        *,
        next_id: int | None = None,
        lost: Sequence[LostShard] | None = None,
        origin: Origin | None = None,
        notes: Mapping[NoteKind, NoteEntry] | None = None,
        engine: str | None = None,
        replaced: Iterable[str] = (),
        back: bool = False,
        act: Act | None = None,
        rows: int = 0,
    ) -> Manifest:
        """Replace the manifest by one with these shards; when this returns, the change is on the disk.

        Files of shards and notes that are named no more, set aside or not, are removed after that: the manifest tells
        which, so that another process does so if this one is killed.

        Args:
            replaced: files that are to be removed beside those that the former manifest names, and this one does not.
            back: whether rows that were lost come back: engines may lack them, although their IDs are not new.
            act: what the log is to tell; ``None`` for what changes no row.
            rows: the number of rows that it is about.
        """
        former = self.manifest
        version, earlier = _versions(former, tuple(shards), back=back)
        manifest = former.model_copy(
            update={
                "version": former.version + 1,
                "shards": tuple(shards),
                "shards_version": version,
                "former_versions": earlier,
                "next_id": former.next_id if next_id is None else next_id,
                "made_by": former.made_by if origin is None else origin_values(origin),
                "lost": former.lost if lost is None else tuple(lost),
                "notes": former.notes if notes is None else dict(notes),
                "engine": former.engine if engine is None else engine,
                "log": former.log if act is None else self._logged(act, rows),
            }
        )
        before = {*former.files(), *former.aside(), *former.replaced, *replaced}
        gone = sorted(before - manifest.files() - manifest.aside())
        there = tuple(name for name in gone if (self.folder / name).exists())
        manifest = manifest.model_copy(update={"replaced": there})
        write_manifest(self.folder, manifest, before=lambda: self._name(manifest.files() - former.files()))
        self.manifest = manifest
        disk.remove(self.folder / name for name in manifest.replaced)
        return manifest

    def _logged(self, act: Act, rows: int) -> LogMark:
        log = AuditLog(self.folder, self.manifest.gallery)
        return log.append_change(act, rows, self.manifest.version + 1, self.manifest.log)

    def _name(self, names: Iterable[str]) -> None:
        """Give new files their names, when the manifest with these names is on the disk as a partial file."""
        files = [self.folder / name for name in sorted(names)]
        for file in files:
            if (partial := disk.partial_of(file)).exists():  # a shard that was copied back has its name
                disk.rename(partial, file)
        for folder in sorted({file.parent for file in files}):
            disk.sync_folder(folder)

    def set_aside(self, damaged: Sequence[DamagedShardError]) -> Manifest:
        """Move damaged shards out of the gallery, and record what was lost: a missing one may be copied back."""
        reasons = {each.name: each.reason for each in damaged}
        found = [entry for entry in self.manifest.shards if entry.name in reasons]
        if not found:
            return self.manifest
        former = {f"{SET_ASIDE}/{entry.name}" for entry in found}
        kept = [entry for entry in self.manifest.shards if entry.name not in reasons]
        lost = [LostShard(name=each.name, rows=each.rows, reason=reasons[each.name], entry=each) for each in found]
        if not former.isdisjoint(self.manifest.replaced):
            self.commit(self.manifest.shards)  # a file that is moved there from now on is not the one that was replaced
        aside = self.folder / SET_ASIDE
        aside.mkdir(exist_ok=True)
        for entry in found:
            with suppress(FileNotFoundError):
                (self.folder / SHARDS / entry.name).replace(aside / entry.name)
        disk.sync_folder(aside)
        rows = sum(each.rows for each in lost)
        return self.commit(kept, lost=[*self.manifest.lost, *lost], act=Act("set aside"), rows=rows)

    def clean_aside(self) -> None:
        """Remove the files that were set aside and are of no lost shard: they may hold people who were deleted."""
        folder = self.folder / SET_ASIDE
        files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
        named = self.manifest.aside()
        disk.remove(path for path in files if f"{SET_ASIDE}/{path.name}" not in named)

    def clean(self) -> None:
        """Remove what a killed or failed writer is proven to have left (:func:`leftovers`)."""
        left = leftovers(self.folder, read_manifest(self.folder))
        if left:
            disk.sync_folder(self.folder)  # shards are removed when the manifest without them is on the disk
            disk.remove(left)


def _versions(former: Manifest, shards: tuple[ShardEntry, ...], *, back: bool) -> tuple[int, tuple[int, ...]]:
    """Return the number of a change of the shards, and those of earlier ones at which an engine is still asked."""
    if shards == former.shards and not back:
        return former.shards_version, former.former_versions
    kept = () if back or not former.engine else (*former.former_versions, former.shards_version)[-_LAG:]
    return secrets.randbits(_BITS), kept


def leftovers(folder: Path, manifest: Manifest) -> list[Path]:
    """Return the files of a gallery that are proven to be left by a killed or failed writer.

    There are two proofs: the name of a file that was never in the gallery (a shard or note gets its own name when the
    manifest that names it is on the disk already, as a partial file), and the list of replaced files in the manifest,
    which may hold deleted rows. Any other file may be data: a shard that was copied back, or one that is newer than a
    manifest that was put back. :mod:`~passerby.gallery.store.verify` reports these.

    Args:
        manifest: the gallery's, as it is on the disk.
    """
    files = [path for place in (SHARDS, NOTES) if (folder / place).is_dir() for path in (folder / place).iterdir()]
    found = [path for path in files if _PARTIAL_FILE.fullmatch(path.name)]
    found += [folder / name for name in {*manifest.replaced, *_never_committed(folder, manifest)}]
    return [path for path in (*found, folder / PARTIAL) if path.exists()]


def _never_committed(folder: Path, manifest: Manifest) -> frozenset[str]:
    """Return the new files of a manifest that was about to replace this one; none if there is none, or a torn one."""
    if not (folder / PARTIAL).exists():
        return frozenset()
    try:
        planned = read_manifest(folder, PARTIAL)
    except DatasetLayoutError:  # torn: shards are renamed after it is whole
        return frozenset()
    if (planned.gallery, planned.version) != (manifest.gallery, manifest.version + 1):
        return frozenset()
    return planned.files() - manifest.files() - {f"{SHARDS}/{lost.name}" for lost in manifest.lost}


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
            f"cannot write the gallery '{folder}': {error.strerror or error}{_place(error)}. Fix: make room, or check "
            "the disk and the permissions; nothing that was acknowledged is lost"
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


def _place(error: OSError) -> str:
    return "" if error.filename is None else f" ('{error.filename}')"


def _holder(folder: Path) -> str:
    try:
        return (folder / WRITER).read_text(encoding="utf-8") or "it is unknown which"
    except OSError:
        return "it is unknown which"
