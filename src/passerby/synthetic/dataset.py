"""The people as files that are drawn when they are read, in Market-1501's layout.

The first half of the people is the training split; of the others each camera's first picture is a query and the rest
is the gallery. What was drawn once is kept in a cache folder: ``$PASSERBY_CACHE`` or ``~/.cache/passerby``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from passerby.data.keypoints.skeleton import Labels, Shot
from passerby.data.source import Source
from passerby.errors import ConfigError, OutputError
from passerby.files import atomic_write
from passerby.synthetic.people.walk import frame_number
from passerby.synthetic.settings import Settings
from passerby.synthetic.spec import settings_from, settings_text
from passerby.synthetic.street.world import World

NAME = "pedestrians"
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"


class Key(NamedTuple):
    """One picture; all count from 0."""

    pid: int
    camid: int
    number: int


def keys(settings: Settings) -> Iterator[Key]:
    """Every picture of a set, person by person, camera by camera.

    Raises:
        ConfigError: if separate cameras are asked for and do not suffice.
    """
    refuse_unseparable(settings)
    for pid in range(settings.people):
        for camid in cameras_of(settings, pid):
            yield from (Key(pid, camid, number) for number in range(settings.images))


def refuse_unseparable(settings: Settings) -> None:
    """Say before any work why training and test people cannot have cameras of their own."""
    if settings.separate_cameras and settings.cameras < 4:
        raise ConfigError(
            f"separate cameras need at least 4, got {settings.cameras}: training and test people get half of them "
            "each, and a query is looked for in another camera than its own"
        )
    if settings.separate_cameras and settings.two_outfits:
        raise ConfigError(
            "with separate cameras nobody is seen in a second outfit (it is worn before the second half of the "
            "cameras); choose one of the two"
        )


def cameras_of(settings: Settings, pid: int) -> range:
    """The cameras that see a person."""
    if not settings.separate_cameras:
        return range(settings.cameras)
    half = settings.cameras // 2
    return range(half) if in_training(settings, pid) else range(half, settings.cameras)


def in_training(settings: Settings, pid: int) -> bool:
    """Whether a person belongs to the training split."""
    return pid < settings.people // 2


def file_name(settings: Settings, key: Key) -> str:
    """Where a picture lies: ``query/0101_c2s1_004711_00.jpg``."""
    folder = TRAIN if in_training(settings, key.pid) else GALLERY if key.number else QUERY
    time = frame_number(settings, *key)
    return f"{folder}/{key.pid + 1:04d}_c{key.camid + 1}s1_{time:06d}_00.jpg"


def encode(shot: Shot) -> bytes:
    """The picture as the camera's JPEG."""
    content = io.BytesIO()
    Image.fromarray(shot.image).save(content, "JPEG", quality=shot.quality)
    return content.getvalue()


def cache_root() -> Path:
    """Where pictures are kept: a folder a set."""
    return Path(os.environ.get("PASSERBY_CACHE") or "~/.cache/passerby").expanduser() / NAME


class PedestrianSource(Source):
    """Files of people who do not exist: names are known at once, contents are drawn when first read.

    Args:
        cache: the folder that holds a folder a set; ``None`` keeps nothing.
    """

    def __init__(self, settings: Settings, *, cache: Path | None) -> None:
        refuse_unseparable(settings)
        super().__init__(Path(f"{NAME}:{settings_text(settings)}"))
        self.settings, self.world, self.cache = settings, World(settings), cache

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "cache": self.cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["settings"], cache=state["cache"])

    @property
    def place(self) -> str:
        return str(self.root)

    @cached_property
    def index(self) -> dict[str, Key]:
        """Which picture each name is."""
        return dict(sorted((file_name(self.settings, key), key) for key in keys(self.settings)))

    def names(self) -> tuple[str, ...]:
        return tuple(self.index)

    def read(self, name: str) -> bytes:
        key = self._key(name)
        if self.folder is None:
            return encode(self.world.shot(*key))
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            content = encode(self.world.shot(*key))
            self._keep(self.folder, name, content)
            return content
        except OSError as error:
            raise _unusable(self.folder, error.strerror or error) from None

    def labels(self, name: str) -> Labels:
        """What is known of one picture; it is drawn anew for that.

        Raises:
            DatasetLayoutError: if there is no such file.
        """
        return self.world.shot(*self._key(name)).labels

    @property
    def folder(self) -> Path | None:
        """This set's folder in the cache."""
        return None if self.cache is None else self.cache / short_hash(self.settings)

    def _key(self, name: str) -> Key:
        if name not in self.index:
            raise self.missing(name)
        return self.index[name]

    def _keep(self, folder: Path, name: str, content: bytes) -> None:
        about = folder / "settings.json"
        try:
            if not about.exists():
                _write_whole(about, settings_json(self.settings).encode())
            _write_whole(folder / name, content)
        except OSError as error:
            raise _unusable(folder, error.strerror or error) from None
        except OutputError as error:
            raise _unusable(folder, error) from None


def open_pedestrians(text: str = "", *, cache: str | Path | None = "", **options: Any) -> PedestrianSource:
    """The set that ``text`` (``people=60,preset=hard``) and keywords describe.

    Args:
        cache: a folder; ``None`` keeps nothing; by default ``$PASSERBY_CACHE`` or ``~/.cache/passerby`` is used.
    """
    folder = cache_root() if cache == "" else cache
    return PedestrianSource(settings_from(text, **options), cache=None if folder is None else Path(folder).expanduser())


def settings_json(settings: Settings) -> str:
    """The content of ``settings.json``."""
    return json.dumps(settings.to_dict(), indent=2) + "\n"


def short_hash(settings: Settings) -> str:
    """16 hex digits that differ where settings or the version of the drawing do."""
    text = json.dumps(settings.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_whole(path: Path, content: bytes) -> None:
    """Threads and processes may draw the same picture at once: the last one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _unusable(folder: Path, reason: object) -> OutputError:
    return OutputError(f"cannot keep pictures in {folder}: {reason}; name another folder in PASSERBY_CACHE")
