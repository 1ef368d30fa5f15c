"""The outcome of adding images to a gallery on disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from passerby.errors import PasserbyError


@dataclass
class AddedImages:
    """The result of adding images."""

    ids: list[int] = field(default_factory=list)
    """The IDs of the new rows."""
    known: int = 0
    """The number of images that the gallery held already, by their content, or that were given twice."""
    from_exif: int = 0
    """The number of new images whose moment is that of their file's metadata."""
    broken: dict[str, PasserbyError] = field(default_factory=dict)
    """The images that cannot be read, by ``PLACE::NAME`` or the path of a file."""
    notes: list[str] = field(default_factory=list)
    """The sentences about what was read, of videos for example."""
