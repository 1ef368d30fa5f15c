"""Places of images as inputs: folders, archives and datasets; and images that are given one by one."""

from __future__ import annotations

from collections.abc import Iterator

from passerby.data.images.open import list_images_and_splits
from passerby.errors import ConfigError
from passerby.gallery.ingest.inputs import INPUTS, NOTHING, PLACE, Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.inference.images import ImagesInput, collect_images, is_place


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
    source, samples, splits = list_images_and_splits(place, options.split)
    kinds = {split: Known(split=split) for split in set(splits)}
    return OnePart(Part(source, samples, [kinds[split] for split in splits]))


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
    return OnePart(Part(source, samples, [NOTHING] * len(samples)))
