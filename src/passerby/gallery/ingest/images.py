"""Images on their way into a gallery on disk: known ones are left out by content, and broken ones are listed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from passerby.data.images.decode import with_next_step
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, ImageError, PasserbyError
from passerby.gallery.store import Store
from passerby.inference.model import Model
from passerby.types import Embeddings, Sample

CHUNK = 1024
"""The number of images that are embedded before they are written: what a killed process has to do again, at most."""


@dataclass
class AddedImages:
    """The result of adding images."""

    ids: list[int] = field(default_factory=list)
    """The IDs of the new rows."""
    known: int = 0
    """The number of images that the gallery held already, by their content, or that were given twice."""
    broken: dict[str, PasserbyError] = field(default_factory=dict)
    """The images that cannot be read, by name."""


def content_digest(source: Source, name: str) -> bytes:
    """Return the SHA-256 of an image's file; of a generated image, of what identifies it, without rendering it.

    Raises:
        DatasetLayoutError: if it cannot be read.
    """
    return hashlib.sha256(source.digest(name) if source.is_generated else source.read(name)).digest()


@dataclass(frozen=True)
class Chunk:
    """Some new images, embedded."""

    embeddings: Embeddings
    contents: list[bytes]
    rows: list[int]
    """The places of the images among those that were given."""


class Ingest:
    """The images of one source that are to be added to a gallery.

    Args:
        strict: whether the first image that cannot be read is an error.
        progress: called with the number of images after each batch.
    """

    def __init__(
        self,
        model: Model,
        store: Store,
        source: Source,
        *,
        strict: bool,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.model, self.store, self.source, self.strict = model, store, source, strict
        self.result = AddedImages()
        self._progress = progress or (lambda _: None)
        self._with_local = store.manifest.stripes is not None

    def chunks(self, samples: Sequence[Sample]) -> Iterator[Chunk]:
        """Yield new images in chunks; the gallery must hold a chunk before the next one is asked for."""
        for first in range(0, len(samples), CHUNK):
            digests = self._digests(samples[first : first + CHUNK], first)
            new = self.store.unknown(list(digests.values()))
            rows = [row for row, is_new in zip(digests, new, strict=True) if is_new]
            self.result.known += len(digests) - len(rows)
            self._progress(len(digests) - len(rows))
            embeddings = self._embedded([samples[row] for row in rows])
            if embeddings is not None:
                kept = {path: digests[row] for row in rows if (path := samples[row].path) not in self.result.broken}
                contents = [kept[path] for path in embeddings.paths]
                yield Chunk(embeddings, contents, [row for row in rows if samples[row].path in kept])

    def _digests(self, samples: Sequence[Sample], first: int) -> dict[int, bytes]:
        found = {}
        for row, sample in enumerate(samples, first):
            try:
                found[row] = content_digest(self.source, sample.path)
            except DatasetLayoutError as error:  # noqa: PERF203 - a file is read
                self._note(sample, error)
                self._progress(1)
        return found

    def _embedded(self, samples: Sequence[Sample]) -> Embeddings | None:
        before = len(self.result.broken)
        if not samples:
            return None
        try:
            return self.model.embed_samples(
                self.source, samples, with_local=self._with_local, on_broken=self._note, progress=self._progress
            )
        except ImageError:
            if len(self.result.broken) - before < len(samples):
                raise
            return None  # all of them are broken, which the result tells

    def _note(self, sample: Sample, error: PasserbyError) -> None:
        if self.strict:
            raise with_next_step(error, self.source.place, "replace them, or add the others without --strict")
        self.result.broken[sample.path] = error
