"""Files and folders that are there whole or not at all, whatever ends the work on them, and one at a time."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.errors import OutputError

if TYPE_CHECKING:
    pass


def check_target(path: str | Path, *, overwrite: bool = False) -> None:
    """Find out before long work whether its result can be written.

    Raises:
        OutputError: if the folder is not there or not writable, or the file exists and may not be replaced.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise OutputError(f"cannot write {file}: it is a folder; name a file")
    if file.exists() and not overwrite:
        raise OutputError(f"{file} exists; choose another name, or replace it with --overwrite")
    if not file.parent.is_dir():
        raise OutputError(f"cannot write {file}: there is no folder {file.parent}; make it first")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {file}: the folder {file.parent} is not writable")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A file to write, hidden beside ``path``: it becomes ``path`` if the block ends well, and else it vanishes.

    Processes and threads may write the same file at once: the last one stays.

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
    """A hidden folder to fill, which becomes ``path`` when the block ends well and vanishes when it does not.

    Raises:
        OutputError: if it cannot be written, or something is there already.
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
    """Nobody else holds the lock ``path`` meanwhile: no process, no thread. Whoever dies lets go of it.

    SQLite locks files on every system that Python knows. The file is empty and stays, which does no harm.

    Raises:
        OutputError: with the text ``otherwise`` if somebody holds it; or if there can be no such file.
    """
    file = Path(path).expanduser()
    try:
        lock = sqlite3.connect(file, timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise OutputError(f"cannot lock {file}: {error}") from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise OutputError(otherwise if "locked" in str(error) else f"cannot lock {file}: {error}") from None
        yield


def _hidden(path: Path) -> Path:
    """Of this thread alone, with the suffix kept: libraries choose the format by it."""
    return path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.partial{path.suffix}")
