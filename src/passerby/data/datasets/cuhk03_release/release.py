"""CUHK03's ``cuhk-03.mat`` as a source of images: MATLAB 7.3, that is HDF5, read in place.

MATLAB's ``labeled{pair}{person, image}`` gets the name that tools give it when they unpack the file; images become
lossless PNG when they are read. HDF5 reverses MATLAB's axes: an image of h × w × 3 is stored as 3 × w × h.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from passerby.data.datasets.cuhk03_release.names import BOXES, Boxes, Person, find_file, image_name
from passerby.data.source import ArchiveSource, DirectorySource, Source
from passerby.errors import DatasetLayoutError

if TYPE_CHECKING:
    import h5py

FILE = "cuhk-03.mat"


class ReleaseSource(ArchiveSource):
    """The images and the test sets of a ``cuhk-03.mat``."""

    @property
    def place(self) -> str:
        return f"cuhk03:{super().place}"

    def names(self) -> tuple[str, ...]:
        return tuple(self._cells)

    def read(self, name: str) -> bytes:
        if name not in self._cells:
            raise self.missing(name)
        with self._lock:
            try:
                pixels = self._opened()[self._cells[name]][()]
            except (OSError, RuntimeError) as error:
                raise self.damaged(name, error) from None
        content = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels.transpose(2, 1, 0))).save(content, "PNG", compress_level=1)
        return content.getvalue()

    @cached_property
    def testsets(self) -> tuple[frozenset[Person], ...]:
        """The people of each test of the old protocol."""
        with self._lock, _explain_errors(self.root):
            file = self._opened()
            tables = [np.asarray(file[cell], np.int64).T for cell in np.ravel(file["testsets"])]
            return tuple(frozenset((int(pair), int(person)) for pair, person in table) for table in tables)

    @cached_property
    def _cells(self) -> dict[str, Any]:
        """The reference of each image in the file, by name."""
        with self._lock, _explain_errors(self.root):
            file = self._opened()
            return dict(sorted((cell for boxes in BOXES for cell in _cells(file, boxes)), key=lambda cell: cell[0]))

    def _open(self) -> h5py.File:
        import h5py  # slow to import, and few need it

        try:
            return h5py.File(self.root, "r")
        except OSError as error:
            raise DatasetLayoutError(
                f"{self.root} is not HDF5 as {FILE} is ({error}). Fix: take it from the original cuhk03_release.zip"
            ) from None


def release_in(source: Source) -> ReleaseSource | None:
    """Return the ``cuhk-03.mat`` of a source; ``None`` if it has none.

    Raises:
        DatasetLayoutError: if there are two, or it is in an archive.
    """
    if isinstance(source, ReleaseSource):
        return source
    if (found := find_file(source, source.names(), FILE)) is None:
        return None
    if not isinstance(source, DirectorySource):
        raise DatasetLayoutError(f"{source.root}: {found} cannot be read inside an archive. Fix: unpack it")
    return ReleaseSource(source.root / found)


@contextmanager
def _explain_errors(root: Path) -> Iterator[None]:
    """Raise an error that explains the file if it is HDF5 but not CUHK03's."""
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError) as error:
        raise DatasetLayoutError(
            f"{root} is not CUHK03's {FILE} ({error}); expected the cells labeled, detected and testsets. Fix: take it "
            "from the original cuhk03_release.zip"
        ) from None


def _cells(file: h5py.File, boxes: Boxes) -> Iterator[tuple[str, Any]]:
    """Yield name and reference of every image; a cell without one is an empty array."""
    for pair, people in enumerate(np.ravel(file[boxes]), start=1):
        for person, row in enumerate(np.asarray(file[people]).T, start=1):
            for number, cell in enumerate(row, start=1):
                if file[cell].ndim == 3:
                    yield image_name(boxes, (pair, person), number), cell
