"""The files of images on their way into a gallery: each is read once, ahead of the model, and hashed as it is read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from PIL import Image

from passerby.data.images.decode import decode
from passerby.data.images.exif import taken_of
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, is_utf8
from passerby.gallery.ingest.thumbnails import Thumbnails
from passerby.types import Sample

THREADS = 4
"""The number of files that are read at a time: a network drive answers several requests at once."""
KEPT = 1 << 26
"""The bytes of files that are kept until they are embedded; what is beyond is read again."""


class Read(NamedTuple):
    """The facts that reading a file tells."""

    digest: bytes
    taken: int | None = None
    """The moment that the file itself tells."""


def content_digest(source: Source, name: str) -> bytes:
    """Return the SHA-256 of an image's file; of a generated image, of what identifies it, without rendering it.

    Raises:
        DatasetLayoutError: if it cannot be read.
    """
    return hashlib.sha256(source.digest(name) if source.is_generated else source.read(name)).digest()


class Contents(Source):
    """A source of images that were read ahead; each is forgotten once it is decoded.

    Args:
        source: the source that holds the files.
        thumbnails: gets each image when it is decoded.
        with_time: whether to look for the moment that each file tells.
    """

    def __init__(self, source: Source, *, thumbnails: Thumbnails | None = None, with_time: bool = True) -> None:
        super().__init__(source.root)
        self._source, self._thumbnails, self._with_time = source, thumbnails, with_time
        self._kept: dict[str, bytes] = {}
        self._bytes, self._lock = 0, threading.Lock()

    def names(self) -> tuple[str, ...]:
        """Return the names of the source."""
        return self._source.names()

    def read_ahead(self, samples: Sequence[Sample]) -> list[Read | DatasetLayoutError]:
        """Read and hash the files of some images, and return what they tell, or why they cannot be read."""
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self._read_ahead, (sample.path for sample in samples)))

    def read(self, name: str) -> bytes:
        """Return the content of a file, and forget it if it was read ahead."""
        with self._lock:
            content = self._kept.pop(name, None)
            self._bytes -= len(content or b"")
        return self._source.read(name) if content is None else content

    def image(self, name: str) -> Image.Image:
        """Return a decoded image.

        Raises:
            DatasetLayoutError: if it cannot be read.
            ImageError: if it cannot be decoded.
        """
        found = self._source.image(name)
        if found is None:
            found = decode(self.read(name), name=name)
        if self._thumbnails is not None:
            self._thumbnails.take(name, found)
        return found

    def forget(self, names: Sequence[str]) -> None:
        """Drop files that will not be embedded."""
        with self._lock:
            for name in names:
                self._bytes -= len(self._kept.pop(name, b""))

    def _read_ahead(self, name: str) -> Read | DatasetLayoutError:
        if not is_utf8(name):
            return DatasetLayoutError(f"the name {name!r} is not UTF-8, so it cannot be stored. Fix: rename the file")
        try:
            if self._source.is_generated:
                return Read(content_digest(self._source, name))
            content = self._source.read(name)
        except DatasetLayoutError as error:
            return error
        with self._lock:
            if self._bytes + len(content) <= KEPT:
                self._bytes += len(content)
                self._kept[name] = content
        return Read(hashlib.sha256(content).digest(), taken_of(content) if self._with_time else None)
