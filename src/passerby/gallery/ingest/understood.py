"""What was understood of images beside their pixels: cameras and moments, and where they are known from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from passerby.data.names.read import ranges
from passerby.gallery.ingest.inputs import Input, Known
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import OnePart
from passerby.types import Sample


@dataclass
class Understood:
    """The counts of what is known of images, and from where."""

    images: int = 0
    cameras: set[int] = field(default_factory=set)
    """The cameras that names tell."""
    with_camera: int = 0
    """The number of images whose names tell their camera."""
    with_time: int = 0
    """The number of images whose names tell their moment."""
    with_exif: int = 0
    """The number of images whose files tell their moment; counted as they are read."""
    with_label: int = 0
    """The number of images whose dataset tells their camera."""
    labeled: set[int] = field(default_factory=set)
    """The cameras that datasets tell."""
    camera: int | None = None
    """The camera that the user gave for all images; it wins over labels."""
    has_taken: bool = False
    """A flag of images whose moment the user gave."""

    def add(self, samples: Sequence[Sample], known: Sequence[Known]) -> None:
        """Count some images."""
        self.images += len(samples)
        labels = [sample.camid for sample in samples if sample.camid is not None]
        self.labeled |= set(labels)
        self.with_label += len(labels)
        cameras = [each.camera for each in known if each.camera is not None]
        self.cameras |= set(cameras)
        self.with_camera += len(cameras)
        self.with_time += sum(each.taken is not None and each.tracklet is None for each in known)

    def __str__(self) -> str:
        """Return a sentence: ``180 images: cameras 1–4 and moments from their names``."""
        if self.camera is None:
            parts = [
                _part(f"{_plural('camera', self.cameras)} from names", self.with_camera, self.images),
                _part(f"{_plural('camera', self.labeled)} from labels", self.with_label, self.images),
            ]
        else:
            parts = [f"camera {self.camera} as given"]
        parts += [
            "their moment as given" * self.has_taken,
            _part("moments from names", self.with_time, self.images),
            _part("moments from EXIF", self.with_exif, self.images),
        ]
        told = ", ".join(filter(None, parts))
        return f"{self.images:,} images: {told or 'their cameras and moments are not known'}"


def _plural(word: str, numbers: set[int]) -> str:
    return f"{word}{'s' * (len(numbers) > 1)} {ranges(numbers)}"


def _part(text: str, count: int, total: int) -> str:
    """Return a part of the sentence; with its number where it does not hold for all."""
    return "" if not count else text if count == total else f"{text} ({count:,} of them)"


def of_inputs(inputs: Iterable[Input], options: IngestOptions) -> Understood:
    """Return what was understood of the inputs whose images are all listed already, and what the user gave."""
    found = Understood(camera=options.camera, has_taken=options.taken is not None)
    for each in inputs:
        if isinstance(each, OnePart):
            found.add(each.part.samples, each.part.known)
    return found
