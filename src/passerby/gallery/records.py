"""The embedded images of a gallery, and where each of them is."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from passerby.data import registry
from passerby.data.confined import open_confined
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, without_fix
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
    file: str = ""
    """The file that names the images, where it is of another origin; empty for images that this user embedded."""
    confirmed: bool = True
    """The flag that the user has named the place, or embedded the images; only then they are read."""

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
            DatasetLayoutError: if they are no longer where they were, or the file is of another origin and the user
                has not confirmed the place that it names.
        """
        if not self.confirmed:
            where = f"in '{self.place}'" if self.place else "in several places"
            raise DatasetLayoutError(
                f"'{self.file}' was not written here, so its images, as it says {where}, are not read without your "
                "word. Fix: name the folder, archive or dataset that holds them: --images PLACE (in Python: "
                "Gallery.open(…, root=PLACE))"
            )
        if isinstance(self.held, Source):
            return self.held
        if not self.held:
            return GivenImages({path: self.contents.get(path, path) for path in self.embeddings.paths})
        try:
            return open_confined(self.held) if self.file else registry.open_place(self.held)
        except DatasetLayoutError as error:
            raise DatasetLayoutError(
                f"the gallery's images are not where they were embedded: {without_fix(error)}. "
                "Fix: embed them again, or put them back"
            ) from None

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
        confirmed = self.confirmed and added.confirmed
        if self.place != added.place:
            confirmed &= not self.file  # names of several places cannot be confined to one
            a, b, held = self._with_full_names(), added._with_full_names(), ""
        if again := set(a.embeddings.paths) & set(b.embeddings.paths):
            raise DatasetLayoutError(f"'{min(again)}' is in the gallery already. Fix: add each image once")
        parts = (a.embeddings, b.embeddings)
        whole = Embeddings.concatenate(parts)
        for name, words in (("pids", "person IDs"), ("camids", "camera IDs")):
            if getattr(whole, name) is None and any(getattr(part, name) is not None for part in parts):
                _LOG.warning("the gallery has no %s from now on: they are unknown for some of its images", words)
        contents = {**self.contents, **added.contents}
        return Records(whole, self.splits + added.splits, held, contents, self.file, confirmed)

    def _with_full_names(self) -> Records:
        if not self.place:
            return self
        paths = tuple(f"{self.place}::{path}" for path in self.embeddings.paths)
        return replace(self, embeddings=replace(self.embeddings, paths=paths))
