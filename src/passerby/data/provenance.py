"""Proof that images on disk show no real people: each of them is one that a generator's settings describe."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path, PurePath
from typing import TypeAlias

from passerby.registry import Registry

Names: TypeAlias = Container[str]
"""The names of all image files of a generated dataset, masks included."""

_LARGEST = 1 << 16
"""The largest settings file in bytes: a generator writes a kilobyte."""

GENERATORS: Registry[Callable[[bytes], Names | None]] = Registry(
    "generator", "passerby.data.datasets", "passerby.synthetic.register"
)
"""The readers of settings files: each returns the names described, or ``None`` for another program's file."""


def is_generated_set(root: Path, settings: bytes | None, settings_name: str, images: Iterable[str]) -> bool:
    """Return whether all images, of which there must be one, lie where the settings beside or around them say.

    A folder inside a generated dataset passes too; a photo laid beside the images fails, as its name is not the
    dataset's.

    Args:
        root: the absolute path that the names of the images are relative to.
        settings: the content of the settings file in the root itself, if there is one.
        settings_name: what this file is called in the folders around the root.
    """
    listed: list[str] | None = None
    for names, inside in _described(root, settings, settings_name):
        listed = list(images) if listed is None else listed
        if listed and all((inside / name).as_posix() in names for name in listed):
            return True
    return False


def _described(root: Path, settings: bytes | None, settings_name: str) -> Iterator[tuple[Names, PurePath]]:
    """Yield the names that each settings file describes, and where the root lies below its folder."""
    if settings is not None and (names := _read(settings)) is not None:
        yield names, PurePath()
    for folder in root.parents:
        around = _content(folder / settings_name)
        if around is not None and (names := _read(around)) is not None:
            yield names, root.relative_to(folder)


def _content(file: Path) -> bytes | None:
    """Return the content of a regular file of the size that settings have; ``None`` for anything else."""
    try:
        return file.read_bytes() if file.is_file() and file.stat().st_size <= _LARGEST else None
    except OSError:
        return None


def _read(settings: bytes) -> Names | None:
    if len(settings) > _LARGEST:
        return None
    found = (GENERATORS[name](settings) for name in GENERATORS)
    return next((names for names in found if names is not None), None)
