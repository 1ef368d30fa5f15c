"""The source whose images are rendered when they are read, in Market-1501's layout.

Label files lie beside the images as in a written dataset; they are not listed, and are made when they are read. An
image that was rendered once is kept in a cache folder: ``$PASSERBY_CACHE`` or ``~/.cache/passerby``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from passerby.data.keypoints.skeleton import Labels
from passerby.data.source import ATTRIBUTES, KEYPOINTS, MASKS, SETTINGS, Source, cache_root
from passerby.errors import OutputError
from passerby.files import atomic_write
from passerby.synthetic.annotations import attribute_table, coco_json, image_entry, keypoints_entry
from passerby.synthetic.files import (
    NAME,
    Key,
    check_separable,
    file_name,
    keys,
    mask_name,
    outfit_of,
    settings_json,
    short_hash,
)
from passerby.synthetic.settings import Settings
from passerby.synthetic.shot import encode, encode_mask
from passerby.synthetic.spec import settings_from, settings_text
from passerby.synthetic.street.world import World

_SIDECARS = (ATTRIBUTES, KEYPOINTS, SETTINGS)


class PedestrianSource(Source):
    """A source of synthetic pedestrians: names are known at once, an image is rendered when it is first read.

    Args:
        cache: the folder that holds one folder per dataset; ``None`` keeps nothing.
    """

    is_generated = True

    def __init__(self, settings: Settings, *, cache: Path | None) -> None:
        check_separable(settings)
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
        """The image that each name is."""
        return dict(sorted((file_name(self.settings, key), key) for key in keys(self.settings)))

    @cached_property
    def masks(self) -> dict[str, str]:
        """The image that each part mask is of."""
        return {mask_name(name): name for name in self.index}

    @property
    def is_synthetic(self) -> bool:
        return True

    def names(self) -> tuple[str, ...]:
        return tuple(self.index)

    def has(self, name: str) -> bool:
        return name in _SIDECARS or name in self.index or name in self.masks

    def digest(self, name: str) -> bytes:
        return f"{short_hash(self.settings)} {name}".encode()

    def fingerprint(self) -> str:
        return short_hash(self.settings)

    def cache_folder(self) -> Path | None:
        return self.folder

    def outfits(self) -> Mapping[str, tuple[int, int]]:
        return {name: (key.pid + 1, outfit_of(self.settings, key.camid) + 1) for name, key in self.index.items()}

    def read(self, name: str) -> bytes:
        if name in _SIDECARS or PurePath(name).parts[:1] == (MASKS,):
            return self._sidecar(name)
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
        """Return what is known of one image; it is rendered for that.

        Raises:
            DatasetLayoutError: if there is no such file.
        """
        return self.world.shot(*self._key(name)).labels

    def render(self, name: str) -> tuple[bytes, Labels]:
        shot = self.world.shot(*self._key(name))
        return encode(shot), shot.labels

    def _sidecar(self, name: str) -> bytes:
        """Return a label file as a written dataset has it; images are rendered for masks and keypoints."""
        if name == SETTINGS:
            return settings_json(self.settings).encode()
        if name == ATTRIBUTES:
            return attribute_table(self.settings, range(self.settings.people), self.world).encode()
        if name == KEYPOINTS:
            return self._keypoints().encode()
        if name not in self.masks:
            raise self.missing(name)
        return encode_mask(self.labels(self.masks[name]))

    def _keypoints(self) -> str:
        entries = []
        for number, key in enumerate(keys(self.settings), start=1):
            name, labels = file_name(self.settings, key), self.world.shot(*key).labels
            image = image_entry(number, name, key, labels, outfit_of(self.settings, key.camid))
            entries.append((image, keypoints_entry(number, labels)))
        return coco_json(entries)

    @property
    def folder(self) -> Path | None:
        """The folder of this dataset in the cache."""
        return None if self.cache is None else self.cache / short_hash(self.settings)

    def _key(self, name: str) -> Key:
        if name not in self.index:
            raise self.missing(name)
        return self.index[name]

    def _keep(self, folder: Path, name: str, content: bytes) -> None:
        about = folder / SETTINGS
        try:
            if not about.exists():
                _write(about, settings_json(self.settings).encode())
            _write(folder / name, content)
        except OSError as error:
            raise _unusable(folder, error.strerror or error) from None
        except OutputError as error:
            raise _unusable(folder, error) from None


def open_pedestrians(text: str = "", *, cache: str | Path | None = "", **options: Any) -> PedestrianSource:
    """Return the dataset that ``text`` (``people=60,preset=hard``) and keywords describe.

    Args:
        cache: a folder; ``None`` keeps nothing; by default ``$PASSERBY_CACHE`` or ``~/.cache/passerby`` is used.
    """
    folder = cache_root() / NAME if cache == "" else cache
    return PedestrianSource(settings_from(text, **options), cache=None if folder is None else Path(folder).expanduser())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole. Threads and processes may render the same image at once: the last one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _unusable(folder: Path, reason: object) -> OutputError:
    return OutputError(f"cannot keep images in {folder}: {reason}. Fix: name another folder in PASSERBY_CACHE")
