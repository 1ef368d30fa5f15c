"""What a user says of the images that are to be added to a gallery on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from passerby.data.dataset import Split
from passerby.data.names.pattern import NamePattern
from passerby.data.video.options import TrackletOptions
from passerby.errors import ConfigError
from passerby.gallery.store.where import check_64_bits


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """The facts that hold for all images of a call, and how these are added; whatever opens an input gets them.

    Raises:
        ConfigError: if a tag or the collection is empty, or has several lines; the camera is negative; or a number has
            more than 64 bits.
    """

    split: Split | Literal["all"] | None = None
    """The split of datasets that is taken: ``None`` is their gallery; or ``all``."""
    camera: int | None = None
    """The camera ID of all the images; it wins over what names and datasets tell."""
    taken: int | None = None
    """The moment when they were taken, or when a video begins, in milliseconds of Unix time."""
    tags: tuple[str, ...] = ()
    """The words to search by."""
    collection: str | None = None
    """The name of the part of the gallery that they belong to."""
    names: NamePattern | None = None
    """The pattern of the images' names, where they tell more than is understood without it."""
    thumbnails: bool = False
    """A flag to keep a small JPEG of each image."""
    blur: bool | None = None
    """The flag to blur heads in thumbnails; ``None``: unless the images are synthetic."""
    strict: bool = False
    """A flag to stop at the first image that cannot be read."""
    video: TrackletOptions = field(default_factory=TrackletOptions)
    """The way in which people in videos are followed."""
    detector: str | None = None
    """The ONNX file of the detector that finds people in videos; ``None``: the one in the package."""

    def __post_init__(self) -> None:
        _check_words([*self.tags, *([] if self.collection is None else [self.collection])])
        if self.camera is not None and self.camera < 0:
            raise ConfigError(f"no camera ID: got {self.camera}, expected 0 or more. Fix: give the number of a camera")
        for name in ("camera", "taken"):
            check_64_bits(name, [] if (value := getattr(self, name)) is None else [value])


def _check_words(words: Iterable[str]) -> None:
    for word in words:
        if not word.strip() or any(ord(character) < 32 for character in word):
            raise ConfigError(
                f"no tag or collection: got {word!r}, expected a text of one line. Fix: give a word, or leave it out"
            )
