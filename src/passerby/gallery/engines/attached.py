"""The engine of a gallery, as the gallery uses it.

An engine that cannot be reached makes nothing wrong: changes are on the disk, and searches go through the shards. Both
are said in a warning, since such a search takes as long as one without an engine; where that is too long,
:attr:`Attached.required` makes it an error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passerby.errors import without_fix
from passerby.gallery.engines.address import parsed
from passerby.gallery.engines.bring import FOREIGN, Brought, all_rows, bring
from passerby.gallery.engines.candidates import FEW, search_by
from passerby.gallery.engines.protocol import Engine, EngineError, Held, Ids
from passerby.gallery.store.manifest import Manifest, read_manifest
from passerby.gallery.store.search import Selection, search
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Where
from passerby.types import Ranking

_LOG = logging.getLogger(__name__)
_PAUSE = 30.0
"""The seconds for which an engine that has failed is not asked again."""


class Attached:
    """The engine of a gallery.

    Args:
        folder: the gallery's folder, for messages.
        manifest: what the gallery holds; its ``engine`` is the address.

    Raises:
        ConfigError: if the address is none, or the engine cannot hold such vectors.
    """

    def __init__(self, folder: str, manifest: Manifest) -> None:
        self.folder, self.address = folder, manifest.engine
        self.required = False
        """A flag to make searches fail, not take longer, when the engine does."""
        self._anew = partial(open_engine, manifest.engine, manifest)
        self.engine = self._anew()
        self._version = manifest.shards_version
        self._normalize = manifest.origin.normalize
        self._lock = threading.Lock()
        self._failed_at: float | None = None
        self._behind = False

    def search(
        self, manifest: Manifest, selection: Selection, query: Float[Tensor, "q d"], k: int, where: Where
    ) -> Ranking:
        """Return the k nearest of the selected rows for each query.

        Raises:
            EngineError: if the engine fails and is required.
        """
        if len(selection) > FEW and self._is_due():
            try:
                with self._lock:
                    held = self._held(manifest)
                    found = search_by(self.engine, held, selection, query, k, where, normalize=self._normalize)
                    self._check(manifest, self.engine.held(*_newest(manifest)), at_least=held.last_id)
                self._failed_at = None
                return found
            except EngineError as error:
                self._fail(error)
        return search(selection, query, k, normalize=self._normalize)

    def changed(self, manifest: Manifest, shards: Sequence[Shard], before: Manifest, deleted: Ids | None) -> bool:
        """Update the engine by a change that is on the disk, and return whether that succeeded; else a warning says so.

        Args:
            before: what the gallery held before the change.
            deleted: the rows that were deleted; ``None`` if the engine is to be compared with the shards ID by ID.
        """
        try:
            self.bring(manifest, shards, before=before, deleted=deleted)
        except EngineError as error:
            _LOG.warning(
                "%s: the change is on the disk, but not in the engine: %s. Searches find what was added, and not what "
                "was deleted; the engine still holds the vectors of deleted rows. Fix: passerby gallery engine %s sync",
                self.folder, without_fix(error), self.folder,
            )  # fmt: skip
            return False
        return True

    def bring(
        self,
        manifest: Manifest,
        shards: Sequence[Shard],
        *,
        before: Manifest | None = None,
        deleted: Ids | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Brought:
        """Update the engine to what the gallery holds (:func:`~passerby.gallery.engines.bring.bring`).

        Raises:
            EngineError: if it fails.
        """
        with self._lock:
            self._follow(manifest)
            brought = bring(
                self.engine,
                shards,
                _newest(manifest),
                normalize=self._normalize,
                versions=manifest.versions() | (before.versions() if before else frozenset()),
                before=before.shards_version if before else None,
                deleted=deleted,
                progress=progress,
            )
        self._failed_at = None
        return brought

    def rebuild(self, manifest: Manifest, shards: Sequence[Shard]) -> list[str]:
        """Make the engine's files anew, without the vectors of deleted rows; return what is left to do, in sentences.

        Raises:
            EngineError: if it fails.
        """
        self.bring(manifest, shards)
        with self._lock:
            return self.engine.rebuild(all_rows(shards, normalize=self._normalize), _newest(manifest))

    def status(self, manifest: Manifest) -> dict[str, str | int | bool]:
        """Return what the engine is, holds and lacks, as plain values.

        Raises:
            EngineError: if it does not answer.
        """
        newest = _newest(manifest)
        with self._lock:
            about, held = self.engine.about(), self.engine.held(*newest)
            return {
                **about,
                "rows_in_engine": self.engine.count(Where(junk=True)) if held.last_id >= 0 else 0,
                "up_to_date": held == newest,
                "deleted_since_rebuild": self.engine.deleted(),
            }

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            self.engine.close()

    def _held(self, manifest: Manifest) -> Held:
        newest = _newest(manifest)
        self._follow(manifest)
        held = self.engine.visible(*newest)
        self._check(manifest, held)
        behind = newest.last_id - held.last_id
        if behind > FEW and not self._behind:
            _LOG.warning(
                "%s: the engine lacks about %s rows, which are searched without it. Fix: passerby gallery engine %s "
                "sync",
                self.folder, f"{behind:,}", self.folder,
            )  # fmt: skip
        self._behind = behind > FEW
        return held

    def _follow(self, manifest: Manifest) -> None:
        """Discard what the engine has told, if rows came back since then: it may not show them yet."""
        if self._version not in manifest.versions():
            self.engine.close()
            self.engine = self._anew()
        self._version = manifest.shards_version

    def _check(self, manifest: Manifest, held: Held, *, at_least: int = -1) -> None:
        """Raise an error unless the engine holds all rows up to its newest ID, that is, follows this very gallery.

        A writer changes the disk first, then the engine, so that it may be ahead of what was read last, and not of
        what is on the disk.
        """
        if at_least <= held.last_id and (held.last_id < 0 or held.version in manifest.versions()):
            return
        versions = read_manifest(Path(self.folder)).versions()
        if at_least > held.last_id or not versions >= {held.version, manifest.shards_version}:
            raise EngineError(
                f"{FOREIGN}. Fix: passerby gallery engine {self.folder} sync; of two copies, detach one with --keep"
            )

    def _is_due(self) -> bool:
        return self.required or self._failed_at is None or time.monotonic() - self._failed_at >= _PAUSE

    def _fail(self, error: EngineError) -> None:
        if self.required:
            raise error
        if self._failed_at is None:
            _LOG.warning(
                "%s: %s. Searches go through all rows on the disk meanwhile: results are exact, but take longer",
                self.folder, str(error).rstrip("."),
            )  # fmt: skip
        self._failed_at = time.monotonic()


def open_engine(url: str, manifest: Manifest) -> Engine:
    """Return the engine at an address, for one gallery; nothing is connected yet.

    Raises:
        ConfigError: if the address is none, or the engine cannot hold such vectors.
    """
    address = parsed(url)
    from passerby.gallery.engines.milvus import Milvus
    from passerby.gallery.engines.postgres import Postgres

    if address.kind == "milvus":
        return Milvus(address, manifest.gallery, manifest.dimensions)
    return Postgres(address, manifest.gallery, manifest.dimensions, normalize=manifest.origin.normalize)


def _newest(manifest: Manifest) -> Held:
    return Held(manifest.next_id - 1, manifest.shards_version)
