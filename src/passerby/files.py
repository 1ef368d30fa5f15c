"""Atomic writes and locks: a result is there completely or not at all, whatever interrupts the work on it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from passerby.errors import OutputError


def check_target(path: str | Path, *, overwrite: bool = False) -> None:
    """Check that a result can be written to ``path``, before the long work on it begins.

    Raises:
        OutputError: if the folder does not exist or is not writable, or the file exists and may not be replaced.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise OutputError(f"cannot write {file}: it is a folder; name a file")
    if file.exists() and not overwrite:
        raise OutputError(f"{file} exists; choose another name, or replace it with --overwrite")
    _check_folder(file, "write")


def _check_folder(file: Path, purpose: str) -> None:
    if not file.parent.is_dir():
        raise OutputError(f"cannot {purpose} {file}: there is no folder {file.parent}; make it first")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot {purpose} {file}: the folder {file.parent} is not writable")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a hidden path beside ``path``. What the block writes there becomes ``path`` when the block ends without an
    error, and is deleted otherwise. Processes and threads may write the same file at once: the last one stays.

    Raises:
        OutputError: if it cannot be written.
    """
    file = Path(path).expanduser()
    partial = _hidden(file)
    try:
        check_target(file, overwrite=True)
        yield partial
        partial.replace(file)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Fill a new folder completely or not at all.

    Yields a hidden folder, which becomes ``path`` when the block ends without an error, and is deleted otherwise.

    Raises:
        OutputError: if it cannot be written, or ``path`` exists.
    """
    folder = Path(path).expanduser()
    partial = _hidden(folder)
    try:
        if folder.exists():
            raise OutputError(f"{folder} exists; choose another folder, or delete it")
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write the folder {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def file_lock(path: str | Path, *, otherwise: str) -> Iterator[None]:
    """Hold the lock ``path``, which excludes other processes and threads; a killed process releases it.

    Raises:
        OutputError: with the text ``otherwise`` if the lock is held already; or if the file cannot be created.
    """
    from filelock import FileLock, Timeout  # 30 ms, and only long work needs it

    file = Path(path).expanduser()
    _check_folder(file, "lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(otherwise) from None
    except (OSError, NotImplementedError) as error:
        raise OutputError(f"cannot lock {file}: {error}") from None
    try:
        yield
    finally:
        lock.release()


def _hidden(path: Path) -> Path:
    """Return a path of this thread alone, with the suffix kept: libraries choose the format by it."""
    return path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.partial{path.suffix}")
