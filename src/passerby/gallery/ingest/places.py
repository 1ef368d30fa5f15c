"""Places of images as inputs: folders, archives and datasets; and images that are given one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from passerby.data.images.open import list_images_and_splits
from passerby.data.names.pattern import NameFacts
from passerby.data.names.read import NamesRead, read_names
from passerby.data.source import Source
from passerby.errors import ConfigError
from passerby.gallery.ingest.inputs import INPUTS, PLACE, Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.inference.images import ImagesInput, collect_images, is_place
from passerby.types import Sample

_LOG = logging.getLogger(__name__)


class OnePart:
    """An input whose images are all listed before the first is read."""

    def __init__(self, part: Part) -> None:
        self.part = part

    @property
    def total(self) -> int:
        """The number of images."""
        return len(self.part.samples)

    def parts(self) -> Iterator[Part]:
        """Yield all images as one part."""
        yield self.part


@INPUTS.register(PLACE)
class PlaceKind:
    """The kind of folders, archives, datasets and single files."""

    def takes(self, text: str) -> bool:
        """Return whether a text is not empty: what it names is told when it is opened."""
        return bool(text.strip())

    def open(self, text: str, options: IngestOptions) -> Input:
        """List the images (raises as :func:`~passerby.gallery.ingest.inputs.open_input`)."""
        return open_place(text, options) if is_place(text) else given_images(text, options)


def open_place(place: str, options: IngestOptions) -> OnePart:
    """Return the images of a folder, an archive or a dataset; of a dataset with their labels and splits."""
    source, samples, splits = list_images_and_splits(place, options.split, expect_labels=False, takes_any_name=True)
    return listed(source, samples, options, splits=splits)


def given_images(images: ImagesInput, options: IngestOptions, *, first: int = 0) -> OnePart:
    """Return images that a caller hands over.

    Args:
        first: the number that images without a name are counted from.

    Raises:
        ConfigError: if a split is asked for.
    """
    if options.split is not None:
        raise ConfigError(
            f"single images belong to no split: got split {options.split!r}, expected None. Fix: leave the split out"
        )
    source, samples = collect_images(images, first=first)
    return listed(source, samples, options, names=[_as_given(image) for image in _several(images)])


def listed(
    source: Source,
    samples: Sequence[Sample],
    options: IngestOptions,
    *,
    splits: Sequence[str | None] | None = None,
    names: Sequence[str] | None = None,
    lenient: bool = False,
) -> OnePart:
    """Return listed images with what their names tell of them, where neither the user nor a dataset does.

    Args:
        names: the names that tell it; by default those below the source, after the name of its folder.
        lenient: whether names that the user's pattern cannot read are no error.

    Raises:
        ConfigError: if no name matches the pattern, or what it takes for a number is none.
    """
    splits = splits or [None] * len(samples)
    if options.names is None and all(sample.camid is not None for sample in samples):
        return OnePart(Part(source, samples, [Known(split=split) for split in splits]))
    if names is None:
        root = source.root.expanduser().absolute()
        top = root.name if root.is_dir() else root.stem
        names = [f"{top}/{sample.path}" for sample in samples]
    read = read_names(names, options.names, lenient=lenient)
    _warn_of_names(read, source)
    known = [_known(*each, options) for each in zip(samples, splits, read.facts, strict=True)]
    framed = [_framed(sample, facts) for sample, facts in zip(samples, read.facts, strict=True)]
    return OnePart(Part(source, framed, known))


def _known(sample: Sample, split: str | None, facts: NameFacts, options: IngestOptions) -> Known:
    """Return what is known of an image: what its dataset tells wins over its name, and the user over both."""
    return Known(
        split=split,
        camera=facts.camera if sample.camid is None and options.camera is None else None,
        person=facts.person if sample.pid is None else None,
        taken=facts.taken if options.taken is None else None,
    )


def _framed(sample: Sample, facts: NameFacts) -> Sample:
    return sample if facts.frame is None or sample.time is not None else replace(sample, time=facts.frame)


def _warn_of_names(read: NamesRead, source: Source) -> None:
    for names, what in (
        (read.unmatched, "do not match the name pattern, or give another camera's number, so they tell nothing"),
        (read.contradictory, "tell several cameras, so theirs is unknown"),
    ):
        if names:
            _LOG.warning(
                "%s: %d of %d names %s, for example %r", source.root, len(names), len(read.facts), what, names[0]
            )


def _several(images: ImagesInput) -> Sequence[object]:
    return [images] if isinstance(images, (str, Path)) or not isinstance(images, Sequence) else images


def _as_given(image: object) -> str:
    """Return the name of an image as the user wrote it, which tells nothing of folders around it."""
    return str(image).replace("\\", "/") if isinstance(image, (str, Path)) else ""
