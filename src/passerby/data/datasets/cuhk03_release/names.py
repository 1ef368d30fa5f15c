"""The names of CUHK03's images as files: ``images_labeled/1_017_2_08.png``.

They are: pair of cameras, person within the pair, camera within the pair, image (6 to 10 are the second camera's).
Tools that unpack ``cuhk-03.mat`` and the files of the new protocol agree on these names.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Literal

from passerby.data.datasets.layout import preview
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.types import Sample

Boxes = Literal["labeled", "detected"]
"""The origin of the person boxes, in the files' spelling."""
BOXES: tuple[Boxes, ...] = ("labeled", "detected")
PAIRS = (843, 440, 77, 58, 49)
"""The number of people of each pair of cameras; 1,467 in all."""
FIRST_CAMERA = 5
"""The most images of a person from the first camera of a pair."""
Person = tuple[int, int]
"""The pair of cameras and the person within it, from 1."""
_NAME = re.compile(r"([1-5])_(\d+)_([12])_(\d+)\.(?:png|jpe?g)", re.IGNORECASE)


def image_name(boxes: Boxes, person: Person, number: int) -> str:
    """Return the name of one image.

    >>> image_name("labeled", (1, 17), 8)
    'images_labeled/1_017_2_08.png'
    """
    camera = 1 if number <= FIRST_CAMERA else 2
    return f"images_{boxes}/{person[0]}_{person[1]:03d}_{camera}_{number:02d}.png"


def boxes_of(path: str) -> str | None:
    """Return the boxes that an image is cropped by; ``None`` for other files."""
    folder, name = posixpath.split(path)
    folder = posixpath.basename(folder)
    return folder.removeprefix("images_") if folder.startswith("images_") and _NAME.fullmatch(name) else None


def person_of(path: str) -> Person:
    """Return the person in an image.

    Raises:
        ValueError: for another name.
    """
    match = _NAME.fullmatch(posixpath.basename(path))
    if match is None:
        raise ValueError(f"{path!r} is not named like 1_017_2_08.png")
    return int(match[1]), int(match[2])


def sample_of(source: Source, path: str) -> Sample:
    """Return the sample of an image; people are numbered across the pairs, from 1.

    Raises:
        DatasetLayoutError: for a person that the pair does not have.
    """
    pair, person = person_of(path)
    if not 1 <= person <= PAIRS[pair - 1]:
        raise DatasetLayoutError(
            f"{source.root}: {path!r} is of person {person}, but pair {pair} has {PAIRS[pair - 1]}"
        )
    return Sample(path, sum(PAIRS[: pair - 1]) + person, int(posixpath.basename(path).split("_")[2]))


def find_file(source: Source, names: Iterable[str], wanted: str) -> str | None:
    """Return the path of a file by its base name; ``None`` if there is none.

    Raises:
        DatasetLayoutError: if there are two.
    """
    found = [name for name in names if posixpath.basename(name) == wanted]
    if len(found) > 1:
        raise DatasetLayoutError(
            f"{source.root} has more than one {wanted}: {preview(found)}. Fix: give the path of one copy"
        )
    return found[0] if found else None
