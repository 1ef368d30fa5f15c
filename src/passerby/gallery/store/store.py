"""A gallery on disk: add, search, delete. What a call has returned is on the disk; what it deleted is not."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from passerby.data.keypoints.origin import KeypointOrigin
from passerby.errors import ConfigError, DatasetLayoutError, ShapeError, WeightsError
from passerby.files import atomic_directory
from passerby.gallery.audit import Act, AuditLog
from passerby.gallery.engines.address import parsed
from passerby.gallery.engines.attached import Attached
from passerby.gallery.engines.bring import Brought
from passerby.gallery.feedback.notes import Note, Side, write_note
from passerby.gallery.store import disk
from passerby.gallery.store.compact import compacted
from passerby.gallery.store.manifest import (
    SHARDS,
    Manifest,
    NoteEntry,
    NoteKind,
    ShardEntry,
    origin_values,
    write_manifest,
)
from passerby.gallery.store.mend import are_back
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.results import Added, Deleted
from passerby.gallery.store.scan import Needles
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.table import Facts, plain_of, plain_table
from passerby.gallery.store.writer import Writer, writing
from passerby.inference.embeddings_file import Origin
from passerby.inference.embeddings_table import rows_not_finite
from passerby.types import Embeddings

_LOG = logging.getLogger(__name__)
_ACTS: dict[NoteKind, str] = {"pairs": "feedback", "groups": "group", "calibration": "calibrate"}
"""The words of the log for changes of each kind of notes."""


class Store(Reader):
    """A gallery on disk that can be changed."""

    @classmethod
    def create(
        cls, path: str | Path, origin: Origin, dimensions: int, *, stripes: tuple[int, int] | None = None
    ) -> Store:
        """Create an empty gallery in a new folder.

        Args:
            origin: what makes its embeddings.
            dimensions: the length of an embedding.
            stripes: the number of stripe vectors and their length, if they are to be stored.

        Raises:
            OutputError: if the folder exists or cannot be written.
        """
        folder = Path(path).expanduser().absolute()
        manifest = Manifest(
            gallery=secrets.token_hex(16),
            version=1,
            made_by=origin_values(replace(origin, root="")),
            dimensions=dimensions,
            stripes=stripes,
        )
        with atomic_directory(folder) as partial:
            (partial / SHARDS).mkdir()
            mark = AuditLog(partial, manifest.gallery).append_change(Act("create"), 0, 1, None)
            write_manifest(partial, manifest.model_copy(update={"log": mark}))
        disk.sync_folder(folder.parent)
        return cls(folder)

    def add(
        self,
        embeddings: Embeddings,
        facts: Facts,
        *,
        keypoints: KeypointOrigin | None = None,
        act: Act = Act("add"),  # noqa: B008 - it is immutable
    ) -> Added:
        """Add images; those whose content the gallery holds already are left out. Either all are added, or none.

        Args:
            keypoints: the keypoints that cut them, which an empty gallery records.
            act: what the log tells.

        Raises:
            ShapeError: if embeddings have other dimensions than the gallery's.
            WeightsError: if one is not finite, or has no direction.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        self._check_rows(embeddings)
        with self._changing() as writer:
            self.refresh()
            before, new = self.manifest, self.unknown(facts.content)
            kept, known = embeddings[torch.from_numpy(new)], len(embeddings) - int(new.sum())
            first = writer.manifest.next_id
            if len(kept):
                facts = _selected(facts, new)
                table = plain_table(kept, facts, first_id=first, ingest=writer.manifest.version + 1)
                entries = self._written(writer, [table])
                origin = None if writer.manifest.shards else replace(writer.manifest.origin, keypoints=keypoints)
                shards = [*writer.manifest.shards, *entries]
                writer.commit(shards, next_id=first + len(kept), origin=origin, act=act, rows=len(kept))
                self.refresh()
                self._compact_if_possible(writer)
                self._tell_engine(before, np.empty(0, np.int64))
        return Added(tuple(range(first, first + len(kept))), known)

    def delete(
        self,
        ids: Iterable[int],
        *,
        scan: bool = True,
        act: Act = Act("delete"),  # noqa: B008 - it is immutable
    ) -> Deleted:
        """Delete rows: their shards are written anew without them, and the former files removed.

        Shards that were set aside are removed, too: they may hold the same people. So is what people have said about
        deleted rows.

        Args:
            ids: the rows; unknown ones are passed over.
            scan: search all files of the gallery for the deleted vectors afterwards.
            act: what the log tells.

        Raises:
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        wanted = np.unique(np.array([row for row in ids if 0 <= row < 2**63], np.int64))
        with self._changing() as writer:
            self.refresh()
            before, needles = self.manifest, Needles(self.manifest.dimensions)
            entries = self.undamaged(lambda: self._without(writer, wanted, needles))
            lost = self.lost
            if len(needles) or lost:
                aside = [f"{SHARDS}/{each.name}" for each in writer.manifest.lost]
                notes = self._notes_without(writer, wanted)
                writer.commit(entries, lost=(), notes=notes, replaced=aside, act=act, rows=len(needles))
            writer.clean_aside()
            self.refresh()
            self._compact_if_possible(writer)
            self._tell_engine(before, wanted)
            scanned, found = needles.scan(self.path) if scan and len(needles) else (None, 0)
            return Deleted(len(needles), lost, scanned, found, needles.copies)

    def finish_deletions(self) -> None:
        """Finish what a killed deletion has left to do: what was set aside goes, and the engine is told.

        A deletion does so itself; this is for one that finds nothing to delete, perhaps since it is the second attempt.

        Raises:
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        with self._changing() as writer:
            self.refresh()
            writer.clean_aside()
            self._tell_engine(self.manifest, np.empty(0, np.int64))

    def unknown(self, contents: Sequence[bytes]) -> NDArray[np.bool_]:
        """Return which images are new, by the SHA-256 of their files; of equal ones the first."""
        given, first = pa.array(contents, pa.binary(32)), dict[bytes, int]()
        new = np.array([first.setdefault(content, n) == n for n, content in enumerate(contents)], np.bool_)
        for shard in self.shards:
            new &= ~pc.is_in(given, value_set=shard.column("content")).to_numpy(zero_copy_only=False)
        return new

    def change_note(self, kind: NoteKind, change: Callable[[Note, int], Note]) -> Note:
        """Replace a note by what a function makes of it and of the version that will hold it; it is then on the disk.

        A note without content is removed.

        Raises:
            DatasetLayoutError: if the note is damaged.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        with self._changing() as writer:
            note = change(self.note(kind), writer.manifest.version + 1)
            self._replace_note(writer, kind, note)
            return note

    def drop_note(self, kind: NoteKind) -> None:
        """Remove a note, damaged or not (raises as :meth:`change_note`, but for damage)."""
        with self._changing() as writer:
            if kind in writer.manifest.notes:
                self._replace_note(writer, kind, None)

    def compact(self) -> None:
        """Merge small shards where there are many; :meth:`add` and :meth:`delete` do so themselves."""
        with self._changing() as writer:
            self.refresh()
            before = self.manifest
            self._compact(writer)
            self._tell_engine(before, np.empty(0, np.int64))

    def attach(self, url: str, *, progress: Callable[[int], object] | None = None) -> Brought:
        """Attach an engine, and send it all rows; searches ask it from then on.

        Args:
            url: its address, without a password (:mod:`passerby.gallery.engines.address`).
            progress: called with the number of rows after each run.

        Raises:
            ConfigError: if the address is none, the engine cannot hold the vectors, or the gallery has one already.
            EngineError: if it fails; the gallery is as before then.
        """
        with self._changing() as writer:
            self.refresh()
            if writer.manifest.engine:
                raise ConfigError(
                    f"the gallery has an engine already, {writer.manifest.engine}. Fix: passerby gallery engine "
                    f"{self.path} detach"
                )
            coming = writer.manifest.model_copy(update={"engine": str(parsed(url))})
            engine = Attached(str(self.path), coming)
            brought = self.undamaged(lambda: engine.bring(self.manifest, self.shards, progress=progress))
            writer.commit(writer.manifest.shards, engine=coming.engine, act=Act("attach engine"))
            self.refresh()
        return brought

    def detach(self, *, drop: bool = True) -> None:
        """Ask the engine no more.

        Args:
            drop: remove what it holds of the gallery.

        Raises:
            EngineError: if it fails to; the gallery is as before then.
        """
        with self._changing() as writer:
            self.refresh()
            if drop and self.engine is not None:
                self.engine.engine.drop()
            writer.commit(writer.manifest.shards, engine="", act=Act("detach engine"))
            self.refresh()

    def sync(self, *, progress: Callable[[int], object] | None = None) -> Brought:
        """Update the engine to what the gallery holds, after changes that it has missed.

        Raises:
            ConfigError: if the gallery has no engine.
            EngineError: if it fails.
        """
        with self._changing():
            self.refresh()
            engine = self._own_engine()
            return self.undamaged(lambda: engine.bring(self.manifest, self.shards, progress=progress))

    def rebuild(self) -> list[str]:
        """Make the engine's files anew, so that they hold no vectors of deleted rows.

        Returns:
            sentences on what is left to the database's administrator; empty if nothing is.

        Raises:
            ConfigError: if the gallery has no engine.
            EngineError: if it fails.
        """
        with self._changing():
            self.refresh()
            engine = self._own_engine()
            return self.undamaged(lambda: engine.rebuild(self.manifest, self.shards))

    def _own_engine(self) -> Attached:
        if self.engine is None:
            raise ConfigError(
                f"the gallery '{self.path}' has no engine. Fix: passerby gallery engine {self.path} attach ADDRESS"
            )
        return self.engine

    def _tell_engine(self, before: Manifest, deleted: NDArray[np.int64]) -> None:
        """Update the engine to a change; where shards were lost, their rows are found by comparing all IDs."""
        if (engine := self.engine) is not None:
            lost = before.lost or self.manifest.lost
            self.undamaged(lambda: engine.changed(self.manifest, self.shards, before, None if lost else deleted))

    @contextmanager
    def _changing(self) -> Iterator[Writer]:
        with writing(self.path) as writer:
            self._writer = writer
            try:
                if are_back(self.path, writer.manifest):
                    self._take_back(writer)
                yield writer
            finally:
                self._writer = None

    def _replace_note(self, writer: Writer, kind: NoteKind, note: Note | None) -> None:
        notes = {name: entry for name, entry in writer.manifest.notes.items() if name != kind}
        if note is not None and note != type(note)():
            notes[kind] = write_note(self.path, note)
        writer.commit(writer.manifest.shards, notes=notes, act=Act(_ACTS[kind], "removed" if note is None else ""))
        self.refresh()

    def _notes_without(self, writer: Writer, ids: NDArray[np.int64]) -> dict[NoteKind, NoteEntry]:
        """Return the notes without what names deleted or lost rows; damaged notes are dropped, as shards are."""
        kept, notes = dict(writer.manifest.notes), writer.manifest.notes
        if not notes:
            return kept
        rows = {row for shard in self.shards for row in shard.ids[~np.isin(shard.ids, ids)].tolist()}
        contents = {
            content.hex()
            for shard in self.shards
            for content in shard.column("content").filter(pa.array(np.isin(shard.ids, ids))).to_pylist()
        }

        def gone(side: Side) -> bool:
            return side in contents if isinstance(side, str) else side not in rows

        for kind in notes:
            try:
                note = self.note(kind)
            except DatasetLayoutError as error:
                _LOG.warning("%s", error)
                del kept[kind]
                continue
            if (changed := note.without(gone)) != note:
                del kept[kind]
                if changed != type(changed)():
                    kept[kind] = write_note(self.path, changed)
        return kept

    def _without(self, writer: Writer, ids: NDArray[np.int64], needles: Needles) -> list[ShardEntry]:
        """Return the shards without some rows, those that hold any of them written anew."""
        entries: list[ShardEntry] = []
        needles.clear()
        stay = self._vectors_that_stay(ids)
        for shard in self.shards:
            gone = np.isin(shard.ids, ids)
            if not gone.any():
                entries.append(shard.entry)
                continue
            rows = np.flatnonzero(gone)
            vectors = shard.embeddings(rows).numpy()
            copied = np.array([vector.tobytes() in stay for vector in vectors], np.bool_)
            needles.add(vectors[~copied])
            needles.add_copies(int(copied.sum()))
            if not gone.all():
                shard.check()
                entries += self._written(writer, [plain_of(shard.batch).filter(pa.array(~gone))])
        return entries

    def _vectors_that_stay(self, ids: NDArray[np.int64]) -> set[bytes]:
        """Return the vectors of rows that stay which may equal one that goes: their CRCs are equal."""
        goes = [np.isin(shard.ids, ids) for shard in self.shards]
        crcs = [shard.column("crc").to_numpy() for shard in self.shards]
        wanted = np.concatenate([np.empty(0, np.uint32), *(crc[gone] for crc, gone in zip(crcs, goes, strict=True))])
        found: set[bytes] = set()
        for shard, crc, gone in zip(self.shards, crcs, goes, strict=True):
            rows = np.flatnonzero(~gone & np.isin(crc, wanted))
            found |= {vector.tobytes() for vector in shard.embeddings(rows).numpy()}
        return found

    def _written(self, writer: Writer, tables: Iterable[pa.Table]) -> list[ShardEntry]:
        return [entry for table in tables for entry in writer.write_rows(table)]

    def _compact_if_possible(self, writer: Writer) -> None:
        """Merge small shards; a disk without room for that is no reason to fail what is done already."""
        try:
            self._compact(writer)
        except OSError as error:
            _LOG.warning("%s: small shards could not be merged (%s). Fix: make room", self.path, error)
            writer.clean()
            self.refresh()

    def _compact(self, writer: Writer) -> None:
        def merged(shards: Sequence[Shard]) -> list[ShardEntry]:
            for shard in shards:
                shard.check()
            return self._written(writer, [pa.concat_tables([plain_of(shard.batch) for shard in shards])])

        def change() -> None:
            if (entries := compacted(self.shards, merged)) is not None:
                writer.commit(entries)
                self.refresh()

        self.undamaged(change)

    def _check_rows(self, embeddings: Embeddings) -> None:
        found, expected = embeddings.embedding.shape[1], self.manifest.dimensions
        if found != expected:
            raise ShapeError(
                f"embeddings have {found} dimensions, the gallery's {expected}: they come from different models. "
                "Fix: embed with the gallery's model"
            )
        origin = self.manifest.origin
        stripes = None if embeddings.local is None else tuple(embeddings.local.shape[1:])
        if stripes != self.manifest.stripes:
            raise ShapeError(f"got stripe vectors {stripes}, the gallery holds {self.manifest.stripes}")
        if (embeddings.attributes is not None) != bool(origin.attributes):
            raise ShapeError("attributes are stored for all images of a gallery or for none. Fix: use its model")
        for name in ("embedding", "local", "attributes"):
            rows = getattr(embeddings, name)
            if rows is not None and rows_not_finite(rows).any():
                raise WeightsError(f"{name} has NaN or infinite values: the model {origin.model} is broken")
        if origin.normalize and (embeddings.embedding == 0).all(dim=1).any():
            raise WeightsError(f"an embedding is zero and has no direction: the model {origin.model} is broken")


def _selected(facts: Facts, mask: NDArray[np.bool_]) -> Facts:
    """Return the facts of some images."""
    rows = np.flatnonzero(mask).tolist()
    given: dict[str, Any] = {
        name: [values[row] for row in rows]
        for name in ("content", "cameras", "people", "splits", "taken", "tracklets", "seen", "thumbnails")
        if (values := getattr(facts, name))
    }
    return replace(facts, **given)
