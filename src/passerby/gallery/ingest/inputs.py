"""The seam of ingest: an input yields images of one source with what is known of them, and a new kind is one file.

    @INPUTS.register("video")
    class VideoKind:
        takes(text) -> bool            whether a text that the user gave names such an input
        open(text, options) -> Input   the input

An input yields :class:`Part` after part; each is embedded and on the disk soon after. Images of a part are read by its
source, in threads; its ``place`` opens them again later. Whatever no kind takes is a place of images
(:mod:`passerby.gallery.ingest.places`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from passerby.data.source import Source
from passerby.gallery.ingest.options import IngestOptions
from passerby.registry import Registry
from passerby.types import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The facts that an input tells of one image beside its sample; ``None`` where it does not know."""

    split: str | None = None
    camera: int | None = None
    """The camera ID, where the sample has none."""
    person: int | None = None
    """The person ID, where the sample has none."""
    taken: int | None = None
    """The moment when the image was taken, in milliseconds of Unix time."""
    tracklet: int | None = None
    """The number of the image's tracklet, the tracklet's own within a :class:`Part`."""
    seen: tuple[int, int] | None = None
    """The first and the last moment of its tracklet, in milliseconds of Unix time."""


@dataclass(frozen=True)
class Part:
    """Some images of one source. A tracklet is not divided among parts, and its images follow each other."""

    source: Source
    samples: Sequence[Sample]
    """The images; each path occurs once."""
    known: Sequence[Known]
    """The facts of each image."""
    steps: int | None = None
    """The number of steps of :attr:`Input.total` that end with this part; ``None``: one for each of its images."""
    note: str | None = None
    """A sentence for the user about what was read so far."""


class Input(Protocol):
    """A thing that holds images of people."""

    @property
    def total(self) -> int | None:
        """The number of images, or of :attr:`Part.steps`, of its parts in all; ``None`` if it is not known before."""

    def parts(self) -> Iterator[Part]:
        """Yield the images in parts.

        Raises:
            DatasetLayoutError: if they cannot be read.
        """


class InputKind(Protocol):
    """A kind of input: which texts name one, and how it is opened."""

    def takes(self, text: str) -> bool:
        """Return whether a text, a path or an address, names an input of this kind."""

    def open(self, text: str, options: IngestOptions) -> Input:
        """Open an input.

        Raises:
            DatasetLayoutError: if there is none.
        """


INPUTS: Registry[type[InputKind]] = Registry("input", "passerby.gallery.ingest")
PLACE = "place"
"""The kind of whatever no other kind takes."""


def open_input(text: str, options: IngestOptions) -> Input:
    """Open what a user named: a folder, an archive, a dataset, an image, or what another kind takes.

    Raises:
        DatasetLayoutError: if there is no such thing, or it holds no images.
    """
    return (_kind_of(text) or INPUTS[PLACE]()).open(text, options)


def is_special(text: str) -> bool:
    """Return whether a text names something else than a place of images: a video, for example."""
    return _kind_of(text) is not None


def _kind_of(text: str) -> InputKind | None:
    kinds = (INPUTS[name]() for name in INPUTS if name != PLACE)
    return next((kind for kind in kinds if kind.takes(text)), None)
