"""Watch a folder: files that come or change are taken once they have been the same for a moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from passerby.data.source import DirectorySource, is_image
from passerby.data.walk import walk
from passerby.errors import DatasetLayoutError, OutputError, is_utf8
from passerby.gallery.ingest.ingest import Ingest
from passerby.gallery.ingest.places import listed
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.stored_images import reference
from passerby.types import Sample

MICRO_BATCH = 64
"""The most images that are embedded before they are written: an end is waited for that long."""
_LONGEST_PAUSE = 60.0
"""The most seconds before another attempt to write."""
_LOG = logging.getLogger(__name__)


class Stamp(NamedTuple):
    """The facts that tell a file from what it was, without reading it."""

    size: int
    modified: int
    """The time of the last change in nanoseconds."""


class Watched:
    """The image files of a folder, by polls; what it knows is in memory only, a gallery knows contents.

    Args:
        folder: the folder; files below it count, too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: dict[str, Stamp] = {}
        self._seen: dict[str, Stamp] = {}
        self._problem = ""
        self._odd: set[str] = set()

    def poll(self) -> list[str]:
        """Return the names of files that are new or changed, and the same as at the last poll."""
        stamps = self._stamps()
        if stamps is None:
            return []
        ready = [
            name for name, stamp in stamps.items() if self._seen.get(name) == stamp and self._taken.get(name) != stamp
        ]
        self._seen = {name: stamp for name, stamp in stamps.items() if self._taken.get(name) != stamp}
        self._taken = {name: stamp for name, stamp in self._taken.items() if name in stamps}
        return sorted(ready)

    def take(self, names: Sequence[str]) -> None:
        """Remember that files are dealt with, added or broken, as they were at the last poll."""
        for name in names:
            self._taken[name] = self._seen.pop(name)

    def _stamps(self) -> dict[str, Stamp] | None:
        """Return what files there are; ``None``, after a warning, if the folder cannot be listed."""
        try:
            names = [name for name in walk(self.folder).files if is_image(name)]
            self._problem = ""
        except DatasetLayoutError as error:
            if str(error) != self._problem:
                _LOG.warning("%s. It is tried again", error)
            self._problem = str(error)
            return None
        self._warn_of_odd_names(names)
        return {name: stamp for name in names if is_utf8(name) and (stamp := _stamp(self.folder / name)) is not None}

    def _warn_of_odd_names(self, names: Sequence[str]) -> None:
        """Warn once of each name that cannot be stored."""
        odd = {name for name in names if not is_utf8(name)}
        for name in sorted(odd - self._odd):
            _LOG.warning("%s: %r is left out, as its name is not UTF-8. Fix: rename it", self.folder, name)
        self._odd = odd


def check_folder(folder: str | Path) -> Path:
    """Return the path of a folder that is to be followed.

    Raises:
        DatasetLayoutError: if it does not exist.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DatasetLayoutError(f"'{root}' is no folder to follow. Fix: create it, or give another")
    return root


def follow(
    ingest: Ingest,
    folder: str | Path,
    stop: threading.Event,
    *,
    poll: float = 2.0,
    report: Callable[[AddedImages, Sequence[str]], object] | None = None,
) -> None:
    """Add the images of a folder, and those that come into it, until ``stop`` is set; then what was begun is finished.

    A file is taken when its size and its time are the same at two polls. One that cannot be read is tried again when it
    changes. Where the gallery cannot be written, the images wait for the next attempt.

    Args:
        poll: the seconds between two looks at the folder.
        report: called with what each micro-batch added, and the images that it had, by ``PLACE::NAME``.

    Raises:
        DatasetLayoutError: if the folder does not exist.
        ImageError: if an image cannot be read and the options are strict.
    """
    root = check_folder(folder)
    source, watched, pause = DirectorySource(root), Watched(root), poll
    source.takes_any_name = True  # what is watched leaves such images out
    while not stop.is_set():
        ready = watched.poll()
        for first in range(0, len(ready), MICRO_BATCH):
            names = ready[first : first + MICRO_BATCH]
            try:
                ingest.add(listed(source, [Sample(path=name) for name in names], ingest.options, lenient=True))
            except OutputError as error:
                pause = min(2 * pause, _LONGEST_PAUSE)
                _LOG.warning("%s. %d images wait for another attempt", error, len(ready) - first)
                break
            pause = poll
            watched.take(names)
            if report is not None:
                report(ingest.drain(), [reference(source.place, name) for name in names])
            if stop.is_set():
                return
        stop.wait(pause)


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:  # it is gone
        return None
    return Stamp(found.st_size, found.st_mtime_ns)
