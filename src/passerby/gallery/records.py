"""The embedded images of a gallery, and where each of them is."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from passerby.data import registry
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.inference.images import GivenImages
from passerby.types import Embeddings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Records:
    """The embeddings of a gallery, with their splits and their place.

    Images of one place are named within it. Those of several places have names that tell the place: ``PLACE::NAME``, or
    the path of a file; then ``held`` is empty.
    """

    embeddings: Embeddings
    splits: tuple[str | None, ...]
    """The split of each image; ``None`` where it is unknown."""
    held: Source | str | Path = ""
    """The source that holds the images, or its path."""
    contents: Mapping[str, bytes | str | Path] = field(default_factory=dict)
    """The images that are in memory, by name, or where they are."""

    @classmethod
    def of(cls, embeddings: Embeddings, source: Source, splits: tuple[str | None, ...]) -> Records:
        """Return the records of images that were just embedded."""
        contents = source.contents if isinstance(source, GivenImages) else {}
        return cls(embeddings, splits, "" if isinstance(source, GivenImages) else source, contents)

    @property
    def place(self) -> str:
        """The text that opens the source again, from any directory; empty where names tell it."""
        held = self.held
        return held.place if isinstance(held, Source) else registry.absolute_spec(held) if held else ""

    @cached_property
    def source(self) -> Source:
        """The source that holds the images.

        Raises:
            DatasetLayoutError: if they are no longer where they were.
        """
        if isinstance(self.held, Source):
            return self.held
        if not self.held:
            return GivenImages({path: self.contents.get(path, path) for path in self.embeddings.paths})
        try:
            return registry.open_place(self.held)
        except DatasetLayoutError as error:
            raise DatasetLayoutError(f"the gallery's images are not where they were embedded: {error}") from None

    def joined(self, added: Records) -> Records:
        """Return these records and further ones.

        Raises:
            DatasetLayoutError: if an image is in both, or twice among the further ones.
        """
        if twice := [path for path, times in Counter(added.embeddings.paths).items() if times > 1]:
            raise DatasetLayoutError(f"'{min(twice)}' is given twice. Fix: add each image once")
        if not len(self.embeddings):
            return added
        a, b, held = self, added, self.held
        if self.place != added.place:
            a, b, held = self._with_full_names(), added._with_full_names(), ""
        if again := set(a.embeddings.paths) & set(b.embeddings.paths):
            raise DatasetLayoutError(f"'{min(again)}' is in the gallery already. Fix: add each image once")
        parts = (a.embeddings, b.embeddings)
        whole = Embeddings.concatenate(parts)
        for name, words in (("pids", "person IDs"), ("camids", "camera IDs")):
            if getattr(whole, name) is None and any(getattr(part, name) is not None for part in parts):
                _LOG.warning("the gallery has no %s from now on: they are unknown for some of its images", words)
        return Records(whole, self.splits + added.splits, held, {**self.contents, **added.contents})

    def _with_full_names(self) -> Records:
        if not self.place:
            return self
        paths = tuple(f"{self.place}::{path}" for path in self.embeddings.paths)
        return replace(self, embeddings=replace(self.embeddings, paths=paths))
