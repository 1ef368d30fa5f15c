"""The images that rows of a gallery on disk refer to, by ``PLACE::NAME`` or the path of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from passerby.data import registry
from passerby.data.confined import open_confined
from passerby.data.images.open import QueryImage
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.gallery.store.reader import Reader
from passerby.inference.written_files import was_written_here


def reference(place: str, path: str) -> str:
    """Return the text that opens an image again."""
    return f"{place}::{path}" if place else path


class StoredImages(Source):
    """A source of the images of a gallery's rows; places are opened when the first of their images is read.

    Args:
        folder: the gallery.
        places: the places of its rows; an empty one is that of images whose name is the path of a file.
        root: where the images are, if they have moved, or the gallery is of another origin; nothing outside is read
            then.
    """

    def __init__(self, folder: Path, places: Sequence[str], root: str | Path | None = None) -> None:
        super().__init__(folder)
        self._places = tuple(places)
        self._opened: dict[str, Source] = {}
        self._confined = None if root is None else open_confined(root)

    def names(self) -> tuple[str, ...]:
        """Return no names: rows tell them."""
        return ()

    def has(self, name: str) -> bool:
        """Return whether there is an image.

        Raises:
            DatasetLayoutError: if its place does not exist.
        """
        return self.holds(*self._split(name))

    def holds(self, place: str, path: str) -> bool:
        """Return whether there is an image of a place (raises as :meth:`has`)."""
        if self._confined is not None:
            return self._confined.has(path)
        return self.at(place).has(path) if place else Path(path).is_file()

    def read(self, name: str) -> bytes:
        """Return one image as the content of its file.

        Raises:
            DatasetLayoutError: if it is no longer where it was.
        """
        place, path = self._split(name)
        if self._confined is not None:
            return self._confined.read(path)
        return self.at(place).read(path) if place else QueryImage.of(path).content

    @property
    def is_synthetic(self) -> bool:
        """A flag of galleries whose images are synthetic in every place."""
        if self._confined is not None:
            return self._confined.is_synthetic
        try:
            return bool(self._places) and all(place and self.at(place).is_synthetic for place in self._places)
        except DatasetLayoutError:  # what cannot be read proves nothing
            return False

    def at(self, place: str) -> Source:
        """Return the files of a place.

        Raises:
            DatasetLayoutError: if it does not exist.
        """
        if place not in self._opened:
            self._opened[place] = registry.open_place(place)
        return self._opened[place]

    def _split(self, name: str) -> tuple[str, str]:
        known = [place for place in self._places if place and name.startswith(f"{place}::")]
        place = max(known, key=len, default="")
        return (place, name[len(place) + 2 :]) if place else ("", name)


def own(store: Reader) -> tuple[str, tuple[str]]:
    """Return what a gallery is remembered by as one that was written here."""
    return str(store.path.resolve()), (store.manifest.gallery,)


def images_of(store: Reader, root: str | Path | None = None) -> StoredImages:
    """Return the images of a gallery's rows.

    Raises:
        DatasetLayoutError: if the gallery is of another origin and no ``root`` is named.
    """
    if root is None and not was_written_here(*own(store)):
        raise DatasetLayoutError(
            f"'{store.path}' was not written here, so its images are not read without your word. Fix: name the "
            "folder, archive or dataset that holds them: --images PLACE (in Python: Gallery.open(…, root=PLACE))"
        )
    places = {place for shard in store.shards for place in shard.column("place").dictionary.to_pylist()}
    return StoredImages(store.path, sorted(places), root)
