"""Images on their way into a gallery on disk: known ones are left out by content, and broken ones are listed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from passerby.data.images.decode import with_next_step
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, ImageError, PasserbyError
from passerby.gallery.compatibility import check_same_keypoints
from passerby.gallery.ingest.inputs import Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.gallery.stored_images import reference
from passerby.inference.model import Model
from passerby.types import Embeddings, Sample

CHUNK = 1024
"""The number of images that are embedded before they are written: what a killed process has to do again, at most."""


def content_digest(source: Source, name: str) -> bytes:
    """Return the SHA-256 of an image's file; of a generated image, of what identifies it, without rendering it.

    Raises:
        DatasetLayoutError: if it cannot be read.
    """
    return hashlib.sha256(source.digest(name) if source.is_generated else source.read(name)).digest()


class Ingest:
    """The way of images into one gallery: each chunk is on the disk before the next one is embedded.

    Args:
        progress: called with the number of images after each batch.
    """

    def __init__(
        self, model: Model, store: Store, options: IngestOptions, *, progress: Callable[[int], object] | None = None
    ) -> None:
        self.model, self.store, self.options = model, store, options
        self.result = AddedImages()
        self._progress = progress or (lambda _: None)
        self._with_local = store.manifest.stripes is not None

    def add(self, images: Input) -> None:
        """Embed the images of an input and add those that the gallery does not hold.

        Raises:
            ImageError: if an image cannot be read and ``strict`` is set.
            ConfigError: if their parts would be cut by other keypoints than those of the gallery.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        for part in images.parts():
            keypoints = self.model.keypoint_origin(part.source)
            if len(self.store):
                check_same_keypoints(self.store.manifest.origin.keypoints, keypoints, str(self.store.path))
            for chunk in chunks(part, CHUNK):
                self._add(chunk, keypoints)

    def _add(self, part: Part, keypoints: KeypointOrigin | None) -> None:
        digests = self._digests(part)
        new = self.store.unknown(list(digests.values()))
        rows = [row for row, is_new in zip(digests, new, strict=True) if is_new]
        self.result.known += len(digests) - len(rows)
        self._progress(len(digests) - len(rows))
        embeddings = self._embedded(part.source, [part.samples[row] for row in rows])
        if embeddings is None:
            return
        kept = dict.fromkeys(embeddings.paths)
        rows = [row for row in rows if part.samples[row].path in kept]
        facts = self._facts(part.source, [part.known[row] for row in rows], [digests[row] for row in rows])
        added = self.store.add(self._with_camera(embeddings), facts, keypoints=keypoints)
        self.result.ids += added.ids
        self.result.known += added.known

    def _digests(self, part: Part) -> dict[int, bytes]:
        found = {}
        for row, sample in enumerate(part.samples):
            try:
                found[row] = content_digest(part.source, sample.path)
            except DatasetLayoutError as error:  # noqa: PERF203 - a file is read
                self._note(part.source, sample, error)
                self._progress(1)
        return found

    def _embedded(self, source: Source, samples: Sequence[Sample]) -> Embeddings | None:
        before = len(self.result.broken)
        if not samples:
            return None
        try:
            return self.model.embed_samples(
                source,
                samples,
                with_local=self._with_local,
                on_broken=lambda sample, error: self._note(source, sample, error),
                progress=self._progress,
            )
        except ImageError:
            if len(self.result.broken) - before < len(samples):
                raise
            return None  # all of them are broken, which the result tells

    def _facts(self, source: Source, known: Sequence[Known], contents: Sequence[bytes]) -> Facts:
        options = self.options
        return Facts(
            content=contents,
            place=source.place,
            splits=[each.split for each in known],
            taken=[options.taken if each.taken is None else each.taken for each in known],
            tracklets=[each.tracklet for each in known],
            seen=[each.seen for each in known],
            added=int(time.time() * 1000),
            tags=options.tags,
            collection=options.collection,
        )

    def _with_camera(self, embeddings: Embeddings) -> Embeddings:
        camera = self.options.camera
        return embeddings if camera is None else replace(embeddings, camids=torch.full((len(embeddings),), camera))

    def _note(self, source: Source, sample: Sample, error: PasserbyError) -> None:
        if self.options.strict:
            raise with_next_step(error, source.place, "replace them, or add the others without --strict")
        self.result.broken[reference(source.place, sample.path)] = error


def chunks(part: Part, size: int) -> Iterator[Part]:
    """Yield the images of a part, about ``size`` at a time; a tracklet is not divided."""
    first = 0
    while first < len(part.samples):
        end = min(first + size, len(part.samples))
        while end < len(part.samples) and _same_tracklet(part.known[end - 1], part.known[end]):
            end += 1
        yield Part(part.source, part.samples[first:end], part.known[first:end])
        first = end


def _same_tracklet(a: Known, b: Known) -> bool:
    return a.tracklet is not None and a.tracklet == b.tracklet
