"""Images on their way into a gallery on disk: known ones are left out by content, and broken ones are listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from passerby.data.images.decode import with_next_step
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, ImageError, PasserbyError
from passerby.gallery.compatibility import check_same_keypoints
from passerby.gallery.ingest.contents import Contents, Read
from passerby.gallery.ingest.inputs import Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.ingest.thumbnails import Thumbnails
from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.gallery.stored_images import reference
from passerby.inference.model import Model
from passerby.types import Embeddings, Sample

CHUNK = 1024
"""The number of images that are embedded before they are written: what a killed process has to do again, at most."""


@dataclass(frozen=True)
class _Chunk:
    """Some images whose files are read."""

    part: Part
    contents: Contents
    thumbnails: Thumbnails | None
    read: list[Read | DatasetLayoutError]


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
        self._progress = self._advance = progress or (lambda _: None)
        self._with_local = store.manifest.stripes is not None

    def add(self, images: Input) -> None:
        """Embed the images of an input and add those that the gallery does not hold.

        Raises:
            ImageError: if an image cannot be read and ``strict`` is set.
            ConfigError: if their parts would be cut by other keypoints than those of the gallery.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        for part in images.parts():
            self._advance = self._progress if part.steps is None else lambda _: None
            keypoints = self.model.keypoint_origin(part.source)
            if len(self.store):
                check_same_keypoints(self.store.manifest.origin.keypoints, keypoints, str(self.store.path))
            self._add_part(part, keypoints)
            self._progress(part.steps or 0)
            self.result.notes += [] if part.note is None else [part.note]

    def drain(self) -> AddedImages:
        """Return what was added since the last call."""
        found, self.result = self.result, AddedImages()
        return found

    def _add_part(self, part: Part, keypoints: KeypointOrigin | None) -> None:
        """Add a part in chunks; the files of the next chunk are read while one is embedded."""
        keep = self.options.thumbnails or not part.source.is_lasting
        thumbnails = Thumbnails(part.source, blur=self.options.blur) if keep else None
        contents = Contents(part.source, thumbnails=thumbnails, with_time=self.options.taken is None)
        waiting = iter(chunks(part, CHUNK))
        with ThreadPoolExecutor(1) as ahead:
            chunk = next(waiting, None)
            reading = ahead.submit(contents.read_ahead, chunk.samples) if chunk else None
            while chunk is not None and reading is not None:
                read, following = reading.result(), next(waiting, None)
                reading = ahead.submit(contents.read_ahead, following.samples) if following else None
                self._add(_Chunk(chunk, contents, thumbnails, read), keypoints)
                chunk = following

    def _add(self, chunk: _Chunk, keypoints: KeypointOrigin | None) -> None:
        part, rows = chunk.part, self._new(chunk)
        embeddings = self._embedded(chunk, [part.samples[row] for row in rows])
        if embeddings is None:
            return
        kept = dict.fromkeys(embeddings.paths)
        facts = self._facts(chunk, [row for row in rows if part.samples[row].path in kept])
        added = self.store.add(self._with_camera(embeddings), facts, keypoints=keypoints)
        self.result.ids += added.ids
        self.result.known += added.known

    def _new(self, chunk: _Chunk) -> list[int]:
        """Return which images of a chunk the gallery does not hold; the others are counted, and forgotten."""
        found = {}
        for row, (sample, read) in enumerate(zip(chunk.part.samples, chunk.read, strict=True)):
            if isinstance(read, Read):
                found[row] = read.digest
            else:
                self._note(chunk.part.source, sample, read)
                self._advance(1)
        self.store.refresh()  # others may have deleted rows since
        new = self.store.unknown(list(found.values()))
        known = [row for row, is_new in zip(found, new, strict=True) if not is_new]
        chunk.contents.forget([chunk.part.samples[row].path for row in known])
        self.result.known += len(known)
        self._advance(len(known))
        return [row for row, is_new in zip(found, new, strict=True) if is_new]

    def _embedded(self, chunk: _Chunk, samples: Sequence[Sample]) -> Embeddings | None:
        source = chunk.part.source
        before = len(self.result.broken)
        if not samples:
            return None
        try:
            return self.model.embed_samples(
                source,
                samples,
                reader=chunk.contents,
                with_local=self._with_local,
                on_broken=lambda sample, error: self._note(source, sample, error),
                progress=self._advance,
            )
        except ImageError:
            if len(self.result.broken) - before < len(samples):
                raise
            return None  # all of them are broken, which the result tells

    def _facts(self, chunk: _Chunk, rows: Sequence[int]) -> Facts:
        options, samples = self.options, [chunk.part.samples[row] for row in rows]
        known, read = [chunk.part.known[row] for row in rows], [chunk.read[row] for row in rows]
        of_files = [each.taken if isinstance(each, Read) else None for each in read]
        taken = [self._taken(each, of_file) for each, of_file in zip(known, of_files, strict=True)]
        self.result.from_exif += sum(a.taken is None and b is not None for a, b in zip(known, of_files, strict=True))
        cameras = [s.camid if each.camera is None else each.camera for s, each in zip(samples, known, strict=True)]
        people = [s.pid if each.person is None else each.person for s, each in zip(samples, known, strict=True)]
        return Facts(
            content=[each.digest for each in read if isinstance(each, Read)],
            cameras=cameras if options.camera is None else None,
            people=people,
            place=chunk.part.source.place,
            splits=[each.split for each in known],
            taken=taken,
            tracklets=[each.tracklet for each in known],
            seen=[each.seen for each in known],
            thumbnails=None if (small := chunk.thumbnails) is None else small.jpegs([s.path for s in samples]),
            added=int(time.time() * 1000),
            tags=options.tags,
            collection=options.collection,
        )

    def _taken(self, known: Known, of_file: int | None) -> int | None:
        """Return the moment of an image: the input knows it, or the user, or else the file."""
        if known.taken is not None:
            return known.taken
        return of_file if self.options.taken is None else self.options.taken

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
