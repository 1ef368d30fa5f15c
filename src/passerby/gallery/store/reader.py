"""A gallery on disk as it is read: the shards of one version, and the search in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from passerby.errors import DatasetLayoutError, OutputError, ProtocolError, ShapeError
from passerby.gallery.audit import AuditLog
from passerby.gallery.engines.attached import Attached
from passerby.gallery.feedback.notes import KINDS, Groups, Note, damaged_note, read_note
from passerby.gallery.store.manifest import MANIFEST, SHARDS, Manifest, NoteEntry, NoteKind, read_manifest
from passerby.gallery.store.mend import are_back, take_back
from passerby.gallery.store.results import Found
from passerby.gallery.store.search import Selection, places_of, search
from passerby.gallery.store.shard import DamagedShardError, Shard
from passerby.gallery.store.where import Where, conditions_of
from passerby.gallery.store.writer import Writer, leftovers, writing
from passerby.types import Ranking

_LOG = logging.getLogger(__name__)
_TRIES = 20
"""The number of times that a manifest is read anew because a writer has removed a shard in between."""
_CHECKSUM = 96
"""The bytes of a manifest within which its checksum stands."""
T = TypeVar("T")


class Reader:
    """A gallery on disk, at the version that was read last; :meth:`search` reads a newer one.

    Args:
        path: the folder.

    Raises:
        DatasetLayoutError: if it is none, or its manifest is damaged. Damaged shards are set aside, with a warning.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.manifest: Manifest
        self.shards: list[Shard] = []
        self._seen = b""
        self._damaged: set[str] = set()
        self._writer: Writer | None = None
        self._notes: dict[NoteKind, tuple[NoteEntry, Note]] = {}
        self._engine: Attached | None = None
        self._tidy()
        self.refresh()
        self.log = AuditLog(self.path, self.manifest.gallery)
        """The log of who did what with the gallery."""
        if are_back(self.path, self.manifest):
            with suppress(OutputError), writing(self.path, patience=0) as writer:
                self._take_back(writer)

    def __len__(self) -> int:
        """Return the number of rows, junk too."""
        return sum(map(len, self.shards))

    @property
    def version(self) -> int:
        """The version that was read last; it grows with every change."""
        return self.manifest.version

    @property
    def lost(self) -> int:
        """The number of rows of shards that were damaged and set aside."""
        return sum(each.rows for each in self.manifest.lost)

    @property
    def missing(self) -> int:
        """The number of rows that no search finds: the lost ones, and those of damaged shards not yet set aside."""
        return self.lost + sum(entry.rows for entry in self.manifest.shards if entry.name in self._damaged)

    def warn_of_missing(self) -> None:
        """Log that a search was not in all rows."""
        if self.missing:
            _LOG.warning(
                "%s: the search was not in %s rows, whose shards are damaged or gone. Fix: restore the folder from a "
                "copy, or add their images again; passerby gallery verify names the shards",
                self.path, f"{self.missing:,}",
            )  # fmt: skip

    @property
    def engine(self) -> Attached | None:
        """The engine that proposes what searches compare; ``None`` if the gallery has none.

        Raises:
            ConfigError: if it is not of this version of passerby.
        """
        address = self.manifest.engine
        if self._engine is not None and self._engine.address != address:
            self._engine.close()
            self._engine = None
        if self._engine is None and address:
            self._engine = Attached(str(self.path), self.manifest)
        return self._engine

    def refresh(self) -> bool:
        """Read the newest version, and return whether there was one.

        Raises:
            DatasetLayoutError: if the gallery is gone or damaged.
        """
        if self._stamp() == self._seen:
            return False
        for _ in range(_TRIES):
            seen, manifest = self._stamp(), read_manifest(self.path)
            try:
                shards, damaged = self._opened(manifest)
            except FileNotFoundError:
                if self._stamp() != seen:
                    continue  # a writer has replaced the manifest and then removed the shard
                shards, damaged = self._opened(manifest, missing=True)
            self.manifest, self.shards, self._seen = manifest, shards, seen
            self._damaged &= manifest.names()  # one that was set aside may come back whole
            if damaged:
                self._set_aside(damaged)
            return True
        raise DatasetLayoutError(f"'{self.path}' changes faster than it can be read. Fix: try again")

    def search(
        self, query: Float[Tensor, "q d"], k: int, where: Where | Sequence[Where] | None = None
    ) -> list[list[Found]]:
        """Return the k nearest rows of each query, or all that satisfy the conditions where they are fewer.

        Distances, order and ties are those of :func:`passerby.retrieval.ranking.top_k` for the rows that may be found.

        Args:
            query: queries, made as the gallery's embeddings are.
            k: the number of rows, at least 1.
            where: conditions for all queries, or those of each; queries of equal ones share the work.

        Raises:
            ProtocolError: if k is below 1, or a query is not finite or has no direction.
            ShapeError: if queries have other dimensions than the gallery, or not all have conditions.
        """
        if k < 1:
            raise ProtocolError(f"k must be at least 1, got {k}")
        if query.ndim != 2 or query.shape[1] != self.manifest.dimensions:
            raise ShapeError(f"got queries {tuple(query.shape)}, expected (q, {self.manifest.dimensions})")
        conditions = conditions_of(len(query), where)
        self.refresh()
        return self.undamaged(lambda: self._found(query.detach().float().cpu(), k, conditions))

    def select(self, where: Where) -> Selection:
        """Return the rows that satisfy conditions, of the version that was read last."""
        where = self._without_groups(where)
        return Selection(self.shards, [where.mask(shard) for shard in self.shards])

    def _without_groups(self, where: Where) -> Where:
        """Return conditions with the rows of the groups that they ask for."""
        if not where.groups:
            return where
        note = self.note("groups")
        assert isinstance(note, Groups)
        rows = note.rows_of(where.groups)
        return replace(where, groups=(), ids=rows if where.ids is None else rows & set(where.ids))

    def undamaged(self, read: Callable[[], T]) -> T:
        """Return what a function reads; a shard that turns out to be damaged is set aside, and it is read again.

        Args:
            read: what takes the shards anew from this gallery at each call.

        Raises:
            DamagedShardError: if it reads a shard again that was set aside.
        """
        aside = set[str]()
        while True:
            try:
                return read()
            except DamagedShardError as error:  # noqa: PERF203 - a rare case, once for each such shard
                if error.name in aside:
                    raise
                aside.add(error.name)
                self._set_aside([error])

    def ids(self, where: Where | None = None) -> list[int]:
        """Return the IDs of all rows, or of those that satisfy conditions; ascending."""
        where = self._without_groups(where or Where(junk=True))
        masks = [(shard, where.mask(shard)) for shard in self.shards]
        return [int(i) for shard, mask in masks for i in shard.ids[mask]]

    def note(self, kind: NoteKind) -> Note:
        """Return what people have said about rows, of the newest version; an empty note if nothing was said.

        Raises:
            DatasetLayoutError: if it is damaged.
        """
        for _ in range(_TRIES):
            self.refresh()
            entry = self.manifest.notes.get(kind)
            if entry is None:
                return KINDS[kind]()
            if kind not in self._notes or self._notes[kind][0] != entry:
                try:
                    self._notes[kind] = entry, read_note(self.path, kind, entry)
                except FileNotFoundError:
                    if not self.refresh():
                        raise damaged_note(self.path, kind, entry, "its file is missing") from None
                    continue
            return self._notes[kind][1]
        raise DatasetLayoutError(f"'{self.path}' changes faster than it can be read. Fix: try again")

    def _found(self, query: Tensor, k: int, conditions: Sequence[Where]) -> list[list[Found]]:
        found: list[list[Found]] = [[] for _ in conditions]
        groups: dict[int, list[int]] = {}
        distinct: list[Where] = []
        for row, where in enumerate(conditions):
            if where not in distinct:
                distinct.append(where)
            groups.setdefault(distinct.index(where), []).append(row)
        for number, rows in groups.items():
            where = self._without_groups(distinct[number])
            selection = self.select(where)
            if not len(selection):
                continue
            ranking = self._ranked(selection, query[rows], min(k, len(selection)), where)
            for row, indices, distances in zip(rows, ranking.indices, ranking.distances.tolist(), strict=True):
                places = places_of(selection, indices)
                found[row] = [Found(*place, distance) for place, distance in zip(places, distances, strict=True)]
        return found

    def _ranked(self, selection: Selection, query: Tensor, k: int, where: Where) -> Ranking:
        if (engine := self.engine) is not None:
            return engine.search(self.manifest, selection, query, k, where)
        return search(selection, query, k, normalize=self.manifest.origin.normalize)

    def _stamp(self) -> bytes:
        """Return the first bytes of the manifest, its checksum: inodes and times of two versions may be the same."""
        try:
            with (self.path / MANIFEST).open("rb", buffering=0) as file:
                return file.read(_CHECKSUM)
        except OSError as error:
            raise DatasetLayoutError(
                f"'{self.path}' is not a gallery: {MANIFEST} cannot be read ({error.strerror or error}). Fix: make one "
                "with passerby gallery create"
            ) from None

    def _opened(self, manifest: Manifest, *, missing: bool = False) -> tuple[list[Shard], list[DamagedShardError]]:
        """Return the shards of a manifest that can be read; those that are open already stay so."""
        known = {shard.entry.name: shard for shard in self.shards}
        shards, damaged = [], []
        for entry in (entry for entry in manifest.shards if entry.name not in self._damaged):
            try:
                shards.append(known[entry.name] if entry.name in known else Shard(self.path / SHARDS, entry))
            except DamagedShardError as error:  # noqa: PERF203 - a few shards
                damaged.append(error)
            except PermissionError as error:
                raise DatasetLayoutError(
                    f"a shard of the gallery '{self.path}' cannot be read: {error.strerror}, '{error.filename}'. Fix: "
                    "change its permissions"
                ) from None
            except FileNotFoundError:
                if not missing:
                    raise
                damaged.append(DamagedShardError(entry.name, "its file is missing"))
        return shards, damaged

    def _set_aside(self, damaged: Sequence[DamagedShardError]) -> None:
        """Read these shards no more, and move them aside, unless another process writes or this one may not."""
        self._damaged |= {error.name for error in damaged}
        for error in damaged:
            rows = sum(shard.rows for shard in self.manifest.shards if shard.name == error.name)
            _LOG.warning(
                "%s: %s. %s rows are lost. Fix: add their images again, or restore the folder from a copy",
                self.path, error, f"{rows:,}",
            )  # fmt: skip
        self.shards = [shard for shard in self.shards if shard.entry.name not in self._damaged]
        if self._writer is not None:
            self._writer.set_aside(damaged)
        else:
            with suppress(OutputError), writing(self.path, patience=0) as writer:
                writer.set_aside(damaged)
        self.refresh()

    def _tidy(self) -> None:
        """Remove what a killed writer left, unless another process writes or this one may not."""
        if leftovers(self.path, read_manifest(self.path)):
            with suppress(OutputError), writing(self.path, patience=0):
                pass

    def _take_back(self, writer: Writer) -> None:
        """Take lost shards into the gallery again whose files are back, read them, and send the engine their rows."""
        self.refresh()
        before = self.manifest
        if rows := take_back(writer, self.shards):
            _LOG.warning("%s: %s rows that were lost are back", self.path, f"{rows:,}")
        self.refresh()
        if rows and (engine := self.engine) is not None:
            self.undamaged(lambda: engine.changed(self.manifest, self.shards, before, None))
