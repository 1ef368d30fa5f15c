"""Sources for names that come from a file of another origin: nothing outside the place that the user names is read."""

from __future__ import annotations

from pathlib import Path

from passerby.data import registry
from passerby.data.source import DirectorySource, Source
from passerby.errors import DatasetLayoutError


class ConfinedFolder(DirectorySource):
    """A folder of which only what really lies in it is read: no ``../``, no absolute path, no link that leads out."""

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name within the folder."""
        return self._is_inside(name) and super().has(name)

    def read(self, name: str) -> bytes:
        """Return one file's content.

        Raises:
            DatasetLayoutError: if the name leads out of the folder, or the file cannot be read.
        """
        if not self._is_inside(name):
            raise DatasetLayoutError(
                f"{name!r} is not read: it lies outside of '{self.root}', and the name comes from a file of another "
                "origin. Fix: name the folder that holds all its images (--images FOLDER)"
            )
        return super().read(name)

    def _is_inside(self, name: str) -> bool:
        try:
            return (self.root / name).resolve().is_relative_to(self.root.resolve())
        except (OSError, ValueError, RuntimeError):  # a name that no file can have; links in a circle
            return False


def open_confined(place: str | Path) -> Source:
    """Open the files at a path, or those of ``NAME:PATH``; of a folder only what lies in it (archives are closed).

    Raises:
        DatasetLayoutError: if there are none.
    """
    source = registry.open_place(place)
    return ConfinedFolder(source.root) if isinstance(source, DirectorySource) else source
