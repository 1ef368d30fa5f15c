"""Images on their way into a gallery on disk: known ones are left out by content, and broken ones are listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import torch

from passerby.data.images.decode import with_next_step
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, PasserbyError
from passerby.gallery.compatibility import check_same_keypoints
from passerby.gallery.ingest.contents import Read
from passerby.gallery.ingest.inputs import Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.reading import Embedded, Reading
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.gallery.stored_images import reference
from passerby.inference.model import Model
from passerby.types import Embeddings, Sample

CHUNK = 1024
"""The number of images that are embedded before they are written: what a killed process has to do again, at most."""


@dataclass(frozen=True)
class Chunk:
    """Some images whose files are read."""

    part: Part
    read: Sequence[Read | DatasetLayoutError]
    """The facts that reading each file told, or why it cannot be read."""


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
        self._progress = self.advance = progress or (lambda _: None)
        self.with_local = store.manifest.stripes is not None

    def add(self, images: Input) -> None:
        """Embed the images of an input and add those that the gallery does not hold.

        Raises:
            ImageError: if an image cannot be read and ``strict`` is set.
            ConfigError: if their parts would be cut by other keypoints than those of the gallery.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        for part in images.parts():
            self.advance = self._progress if part.steps is None else lambda _: None
            keypoints = self.model.keypoint_origin(part.source)
            if len(self.store):
                check_same_keypoints(self.store.manifest.origin.keypoints, keypoints, str(self.store.path))
            self.add_part(part, keypoints)
            self._progress(part.steps or 0)
            self.result.notes += [] if part.note is None else [part.note]

    def add_all(self, inputs: Iterable[Input]) -> AddedImages:
        """Add the images of inputs, as :meth:`add` does, and return the result of all."""
        for each in inputs:
            self.add(each)
        return self.result

    def drain(self) -> AddedImages:
        """Return what was added since the last call."""
        found, self.result = self.result, AddedImages()
        return found

    def add_part(self, part: Part, keypoints: KeypointOrigin | None) -> None:
        """Add a part in chunks; the files of the next chunk are read while one is embedded."""
        reading = Reading(self.model, part.source, self.options, with_local=self.with_local)
        waiting = iter(chunks(part, CHUNK))
        with ThreadPoolExecutor(1) as ahead:
            piece = next(waiting, None)
            future = ahead.submit(reading.read, piece.samples) if piece else None
            while piece is not None and future is not None:
                read, following = future.result(), next(waiting, None)
                future = ahead.submit(reading.read, following.samples) if following else None
                self._add_chunk(reading, Chunk(piece, read), keypoints)
                piece = following

    def _add_chunk(self, reading: Reading, chunk: Chunk, keypoints: KeypointOrigin | None) -> None:
        rows = self.new_rows(chunk)
        new = dict.fromkeys(rows)
        reading.forget([sample.path for row, sample in enumerate(chunk.part.samples) if row not in new])
        samples = [chunk.part.samples[row] for row in rows]
        embedded = reading.embed(samples, on_broken=partial(self.note, chunk.part.source), progress=self.advance)
        if embedded is not None:
            self.write(chunk, embedded, keypoints)

    def new_rows(self, chunk: Chunk) -> list[int]:
        """Return which images of a chunk the gallery does not hold; the others are counted, or noted as broken.

        Raises:
            DatasetLayoutError: if a file cannot be read and ``strict`` is set.
        """
        found = {}
        for row, (sample, read) in enumerate(zip(chunk.part.samples, chunk.read, strict=True)):
            if isinstance(read, Read):
                found[row] = read.digest
            else:
                self.note(chunk.part.source, sample, read)
                self.advance(1)
        self.store.refresh()  # others may have deleted rows since
        new = self.store.unknown(list(found.values()))
        self.result.known += int((~new).sum())
        self.advance(int((~new).sum()))
        return [row for row, is_new in zip(found, new, strict=True) if is_new]

    def write(self, chunk: Chunk, embedded: Embedded, keypoints: KeypointOrigin | None) -> None:
        """Add the embedded images of a chunk to the gallery, and count them.

        Raises:
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        kept = dict.fromkeys(embedded.embeddings.paths)
        rows = [row for row, sample in enumerate(chunk.part.samples) if sample.path in kept]
        facts = self._facts(chunk, rows, embedded.thumbnails)
        added = self.store.add(self._with_camera(embedded.embeddings), facts, keypoints=keypoints)
        self.result.ids += added.ids
        self.result.known += added.known

    def _facts(self, chunk: Chunk, rows: Sequence[int], thumbnails: Sequence[bytes] | None) -> Facts:
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
            thumbnails=thumbnails,
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

    def note(self, source: Source, sample: Sample, error: PasserbyError) -> None:
        """Remember an image that cannot be read.

        Raises:
            PasserbyError: the error itself, if ``strict`` is set.
        """
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
