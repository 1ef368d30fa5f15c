"""Files that are on the disk when a call returns: written, synchronized, and their folder synchronized, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_RUN = 1 << 24
"""The number of bytes that are written at a time."""


def write_new(path: Path, content: bytes | memoryview) -> None:
    """Write a new file and synchronize it; its folder has to be synchronized for the name to last.

    Raises:
        OSError: if it cannot be written; nothing is left then, unless the file was there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest[:_RUN]) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def append(descriptor: int, content: bytes, size: int, *, synchronize: bool) -> None:
    """Append to an open file; where that fails, nothing of the content stays.

    Args:
        size: the length of the file.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if synchronize:
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def replace(path: Path, content: bytes, partial: Path, *, before: Callable[[], None] = lambda: None) -> None:
    """Replace a file as a whole: after a crash it is the former one or this one.

    Args:
        partial: the name in the same folder under which it is written; what a killed process left there is replaced.
        before: called when the partial file is on the disk, before it takes its place.
    """
    partial.unlink(missing_ok=True)
    write_new(partial, content)
    sync_folder(path.parent)
    before()
    os.replace(partial, path)  # noqa: PTH105 - tests watch the calls of the system
    sync_folder(path.parent)


def partial_of(path: Path) -> Path:
    """Return the path that a new file of a gallery has until a manifest is about to name it."""
    return path.with_name(f".{path.name}.partial")


def rename(path: Path, target: Path) -> None:
    """Rename a file; its folder has to be synchronized for the name to last."""
    os.replace(path, target)  # noqa: PTH105 - tests watch the calls of the system


def sync_folder(folder: Path) -> None:
    """Synchronize the names in a folder, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(paths: Iterable[Path]) -> None:
    """Remove files and synchronize their folders."""
    folders = set()
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - tests watch the calls of the system
        folders.add(path.parent)
    for folder in sorted(folders):
        sync_folder(folder)
