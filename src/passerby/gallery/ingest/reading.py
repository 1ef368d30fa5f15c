"""The images of one source as they are read, hashed and embedded; what does so holds a model, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from passerby.data.images.decode import OnBroken
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, ImageError, PasserbyError
from passerby.gallery.ingest.contents import Contents, Read
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.thumbnails import Thumbnails
from passerby.inference.model import Model
from passerby.types import Embeddings, Sample


@dataclass(frozen=True)
class Embedded:
    """The images of a chunk that could be decoded, embedded."""

    embeddings: Embeddings
    thumbnails: Sequence[bytes] | None = None


class Reading:
    """The reading of one source's images.

    Args:
        with_local: whether to keep the stripe vectors too.
    """

    def __init__(self, model: Model, source: Source, options: IngestOptions, *, with_local: bool) -> None:
        self._model, self._source, self._with_local = model, source, with_local
        keep = options.thumbnails or not source.is_lasting
        self._thumbnails = Thumbnails(source, blur=options.blur) if keep else None
        self._contents = Contents(source, thumbnails=self._thumbnails, with_time=options.taken is None)

    def read(self, samples: Sequence[Sample]) -> list[Read | DatasetLayoutError]:
        """Read and hash the files of some images, and return what they tell, or why they cannot be read."""
        return self._contents.read_ahead(samples)

    def forget(self, names: Sequence[str]) -> None:
        """Drop files that were read and will not be embedded."""
        self._contents.forget(names)

    def embed(
        self,
        samples: Sequence[Sample],
        *,
        on_broken: OnBroken,
        progress: Callable[[int], object] | None = None,
    ) -> Embedded | None:
        """Embed images, and return those that can be decoded; ``None`` if there are none.

        Args:
            on_broken: called with each image that cannot be read, and the error.
            progress: called with the number of images after each batch.
        """
        broken: set[str] = set()

        def note(sample: Sample, error: PasserbyError) -> None:
            on_broken(sample, error)
            broken.add(sample.path)

        if not samples:
            return None
        try:
            embeddings = self._model.embed_samples(
                self._source,
                samples,
                reader=self._contents,
                with_local=self._with_local,
                on_broken=note,
                progress=progress,
            )
        except ImageError:
            if len(broken) < len(samples):
                raise
            return None  # all of them are broken, which the caller was told
        small = None if self._thumbnails is None else self._thumbnails.jpegs(embeddings.paths)
        return Embedded(embeddings, small)
