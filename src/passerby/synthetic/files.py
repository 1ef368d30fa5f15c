"""Which images a synthetic dataset has, what their files are called, and what identifies the dataset.

The first half of the people is the training split; of the others each camera's first image is a query and the rest is
the gallery. Nothing here renders.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator
from pathlib import PurePath
from typing import NamedTuple

from passerby.data.source import MASKS
from passerby.errors import ConfigError
from passerby.synthetic.settings import Settings, stream

NAME = "pedestrians"
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
FRAMES_PER_SECOND = 25


class Key(NamedTuple):
    """The person, the camera and the number of one image, each counted from 0."""

    pid: int
    camid: int
    number: int


def keys(settings: Settings) -> Iterator[Key]:
    """Yield every image of a dataset, person by person, camera by camera.

    Raises:
        ConfigError: if separate cameras are asked for and do not suffice.
    """
    check_separable(settings)
    for pid in range(settings.people):
        for camid in cameras_of(settings, pid):
            yield from (Key(pid, camid, number) for number in range(settings.images))


def check_separable(settings: Settings) -> None:
    """Check before any work that training and test people can have cameras of their own.

    Raises:
        ConfigError: if they cannot.
    """
    if settings.separate_cameras and settings.cameras < 4:
        raise ConfigError(
            f"separate cameras need at least 4, got {settings.cameras}: training and test people get half of them "
            "each, and a query is looked for in another camera than its own"
        )
    if settings.separate_cameras and settings.two_outfits:
        raise ConfigError(
            "with separate cameras no person is seen in a second outfit (it is worn before the second half of the "
            "cameras). Fix: choose one of the two"
        )


def cameras_of(settings: Settings, pid: int) -> range:
    """Return the cameras that see a person."""
    if not settings.separate_cameras:
        return range(settings.cameras)
    half = settings.cameras // 2
    return range(half) if in_training(settings, pid) else range(half, settings.cameras)


def in_training(settings: Settings, pid: int) -> bool:
    """Return whether a person belongs to the training split."""
    return pid < settings.people // 2


def outfit_of(settings: Settings, camid: int) -> int:
    """Return which outfit, 0 or 1, people wear before this camera."""
    return int(settings.two_outfits and camid >= (settings.cameras + 1) // 2)


def frame_number(settings: Settings, pid: int, camid: int, number: int) -> int:
    """Return when an image is taken: a person passes a camera at a time of her own, and is seen once a second."""
    start = int(stream(settings.seed, "time", pid, camid).integers(0, 100_000))
    return start + number * FRAMES_PER_SECOND


def file_name(settings: Settings, key: Key) -> str:
    """Return where an image lies: ``query/0101_c2s1_004711_00.jpg``."""
    folder = TRAIN if in_training(settings, key.pid) else GALLERY if key.number else QUERY
    time = frame_number(settings, *key)
    return f"{folder}/{key.pid + 1:04d}_c{key.camid + 1}s1_{time:06d}_00.jpg"


def mask_name(name: str) -> str:
    """Return where the part mask of an image lies: ``masks/0101_c2s1_004711_00.png``."""
    return f"{MASKS}/{PurePath(name).stem}.png"


def settings_json(settings: Settings) -> str:
    """Return the content of ``settings.json``."""
    return json.dumps(settings.to_dict(), indent=2) + "\n"


def short_hash(settings: Settings) -> str:
    """Return 16 hex digits that differ where the settings or the version of the renderer do."""
    text = json.dumps(settings.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def described_names(content: bytes) -> Container[str] | None:
    """Return the names of all images and masks of the dataset that a ``settings.json`` describes.

    They are not listed, as the settings of a file from elsewhere may describe any number. ``None``: another program
    wrote it, or another version of this one.
    """
    try:
        given = json.loads(content)
        if not isinstance(given, dict) or given.keys() != Settings().to_dict().keys():
            return None
        settings = Settings.from_dict(given)
        check_separable(settings)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, ConfigError):
        return None
    return DescribedNames(settings)


_STEM = re.compile(r"(\d{4,9})_c(\d{1,9})s1_(\d{6,12})_00")


class DescribedNames(Container[str]):
    """The names of all images and masks of a dataset."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __contains__(self, name: object) -> bool:
        path = PurePath(str(name))
        key = self._key(path.stem)
        return key is not None and path.as_posix() in (image := file_name(self.settings, key), mask_name(image))

    def _key(self, stem: str) -> Key | None:
        """Return the image that a name could be of."""
        match = _STEM.fullmatch(stem)
        if match is None:
            return None
        pid, camid = int(match[1]) - 1, int(match[2]) - 1
        if not 0 <= pid < self.settings.people or camid not in cameras_of(self.settings, pid):
            return None
        number, rest = divmod(int(match[3]) - frame_number(self.settings, pid, camid, 0), FRAMES_PER_SECOND)
        return Key(pid, camid, number) if 0 <= number < self.settings.images and not rest else None
