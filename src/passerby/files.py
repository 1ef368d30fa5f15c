"""Atomic writes and locks: a result is there completely or not at all, whatever interrupts the work on it."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from passerby.errors import OutputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""The numbers of the errors of a full disk."""


def check_target(path: str | Path, *, overwrite: bool = False) -> None:
    """Check that a result can be written to ``path``, before the long work on it begins.

    Raises:
        OutputError: if the folder does not exist or is not writable, or the file exists and may not be replaced, or is
            a device or a pipe.
    """
    file = _target(path)
    if file.is_dir():
        raise OutputError(f"cannot write {file}: it is a folder. Fix: name a file")
    if file.exists() and not file.is_file():
        raise OutputError(
            f"cannot write '{file}': it is a device, a pipe or a socket, expected a file. Fix: name a file"
        )
    if file.exists() and not overwrite:
        raise OutputError(f"{file} exists. Fix: choose another name, or replace it with --overwrite")
    _check_folder(file, "write")


def check_new_folder(path: str | Path) -> None:
    """Check that a folder can be made, before the long work on what it will hold begins; the folders above it, too.

    Raises:
        OutputError: if the nearest folder above it that exists is none, or is not writable.
    """
    folder = _target(path)
    try:
        above = next(parent for parent in folder.absolute().parents if parent.exists())
    except OSError as error:  # a name too long
        raise OutputError(f"cannot make the folder '{folder}': {error.strerror}. Fix: choose another place") from None
    why = "is not writable" if above.is_dir() else "is not a folder"
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot make the folder '{folder}': '{above}' {why}. Fix: choose another place")


def _target(path: str | Path) -> Path:
    """Return the path to write: that which a link leads to, so that the link stays."""
    file = Path(path).expanduser()
    try:
        return file.resolve() if file.is_symlink() else file
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:  # a name too long
            raise OutputError(f"cannot write '{file}': {error.strerror}. Fix: choose another place") from None
        raise OutputError(f"cannot write '{file}': it is a link that leads to itself. Fix: remove it") from None


def _check_folder(file: Path, purpose: str) -> None:
    if not file.parent.is_dir():
        raise OutputError(f"cannot {purpose} {file}: there is no folder {file.parent}. Fix: make it first")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot {purpose} {file}: the folder {file.parent} is not writable. "
            "Fix: choose another folder, or change its permissions"
        )


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a hidden path beside ``path``. What the block writes there becomes ``path`` when the block ends without an
    error, and is deleted otherwise; what a killed process left there is deleted first. Processes and threads may write
    the same file at once: the last one stays. A link stays a link, and what it leads to is written.

    Raises:
        OutputError: if it cannot be written, or is a device or a pipe.
    """
    file = _target(path)
    partial = _hidden(file)
    try:
        check_target(file, overwrite=True)
        _remove_abandoned(file)
        yield partial
        partial.replace(file)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}. Fix: choose another place") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Fill a new folder completely or not at all.

    Yields a hidden folder, which becomes ``path`` when the block ends without an error, and is deleted otherwise; what
    a killed process left there is deleted first.

    Raises:
        OutputError: if it cannot be written, or ``path`` exists.
    """
    folder = _target(path)
    partial = _hidden(folder)
    try:
        if folder.exists():
            raise OutputError(f"{folder} exists. Fix: choose another folder, or delete it")
        _remove_abandoned(folder)
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise OutputError(
            f"cannot write the folder {folder}: {error.strerror or error}. Fix: choose another place"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def reserved(path: str | Path, *, overwrite: bool = False) -> Iterator[None]:
    """Keep other calls from writing the same file while the long work on it goes on.

    Raises:
        OutputError: if another call does; or as :func:`check_target`.
    """
    check_target(path, overwrite=overwrite)
    with exclusive(path):
        check_target(path, overwrite=overwrite)  # another call may have ended just now
        yield


@contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Hold a lock beside a file or folder that is to be written; its own folder exists.

    Raises:
        OutputError: if another call holds it.
    """
    file = _target(path)
    lock = file.with_name(f".{hashlib.sha256(file.name.encode()).hexdigest()[:16]}.lock")
    busy = f"'{file}' is being written by another call. Fix: wait for it, or choose another name"
    with file_lock(lock, otherwise=busy, remove=True):
        yield


@contextmanager
def file_lock(path: str | Path, *, otherwise: str, remove: bool = False, patience: float = 0) -> Iterator[None]:
    """Hold the lock ``path``, which excludes other processes and threads; a killed process releases it.

    Args:
        otherwise: the error if it is held already.
        remove: remove the file at the end.
        patience: the seconds to wait for it.

    Raises:
        OutputError: with the text ``otherwise`` if the lock is still held then; or if the file cannot be created.
    """
    from filelock import FileLock, Timeout  # 30 ms, and only long work needs it

    file = Path(path).expanduser()
    _check_folder(file, "lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience, poll_interval=0.005)
    except Timeout:
        raise OutputError(otherwise) from None
    except (OSError, NotImplementedError) as error:
        raise OutputError(f"cannot lock {file}: {error}. Fix: choose a folder on another disk") from None
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        lock.release()


def _hidden(path: Path) -> Path:
    """Return a path of this thread alone, with the suffix kept: libraries choose the format by it."""
    return path.with_name(f".{path.stem}.{_host()}-{os.getpid()}-{threading.get_ident()}.partial{path.suffix}")


@cache
def _host() -> str:
    """Return what identifies the system whose process IDs mean the same as here."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.blake2b(f"{platform.node()} {namespace}".encode(), digest_size=4).hexdigest()


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes of this system left of earlier writes of ``path``."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.{_host()}-(\d+)-\d+\.partial{re.escape(path.suffix)}")
    with suppress(OSError):
        for entry in list(path.parent.iterdir()):
            found = name.fullmatch(entry.name)
            if found is None or _is_running(int(found[1])):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Return whether a process runs; where that cannot be told, that it does."""
    if os.name != "posix":  # elsewhere signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
