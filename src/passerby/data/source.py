"""Where image files live: a directory, or the zip or tar that a benchmark comes in, read in place.

A source lists names (relative, forward slashes, sorted) and reads one file's bytes. Sources can be
pickled into worker processes and read from several threads.
"""

from __future__ import annotations

import tarfile
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from passerby.errors import DatasetLayoutError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def is_image(name: str) -> bool:
    """Whether the name ends like a picture's and is not a hidden or resource-fork file."""
    base = name.rsplit("/", 1)[-1]
    return base.lower().endswith(IMAGE_SUFFIXES) and not base.startswith(".") and "__MACOSX/" not in name


class Source(ABC):
    """Named files under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """What opens this source again, from any directory."""
        return str(self.root.expanduser().resolve())

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Every file's name relative to the root, sorted."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self.names()

    @abstractmethod
    def read(self, name: str) -> bytes:
        """One file's content.

        Raises:
            DatasetLayoutError: if there is no such file, or it cannot be read.
        """

    def missing(self, name: str) -> DatasetLayoutError:
        return DatasetLayoutError(f"{self.root} has no file {name!r}")

    def damaged(self, name: str, error: Exception) -> DatasetLayoutError:
        reason = str(error) or type(error).__name__
        return DatasetLayoutError(f"{self.root}: {name!r} is damaged ({reason}); fetch it again")


class DirectorySource(Source):
    """Files below a directory."""

    def names(self) -> tuple[str, ...]:
        files = (p for p in self.root.rglob("*") if p.is_file())
        return tuple(sorted(p.relative_to(self.root).as_posix() for p in files))

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()  # without a walk: the root may be that of the whole disk

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise self.missing(name) from None
        except IsADirectoryError:
            raise DatasetLayoutError(f"{self.root}: {name!r} is a directory; a file was wanted") from None
        except PermissionError:
            raise DatasetLayoutError(f"{self.root}: {name!r} may not be read; change its permissions") from None


class ArchiveSource(Source):
    """An archive, opened once a process and read under a lock (archive objects are not thread-safe)."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._lock = threading.Lock()
        self._archive: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["root"])

    def __del__(self) -> None:
        # An archive left to the garbage collector warns that it is open; one that failed in __init__ has none.
        if (archive := getattr(self, "_archive", None)) is not None:
            archive.close()

    @abstractmethod
    def _open(self) -> Any: ...

    def _opened(self) -> Any:
        if self._archive is None:
            try:
                self._archive = self._open()
            except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
                raise DatasetLayoutError(f"{self.root} is not a readable archive ({error}); fetch it again") from None
        return self._archive


class ZipSource(ArchiveSource):
    """Files in a zip."""

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.root)

    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(i.filename for i in self._opened().infolist() if not i.is_dir()))

    def read(self, name: str) -> bytes:
        with self._lock:
            try:
                content: bytes = self._opened().read(name)
            except KeyError:
                raise self.missing(name) from None
            except RuntimeError as error:  # encrypted, or packed in a way that this Python cannot unpack
                raise DatasetLayoutError(f"{self.root}: {name!r} cannot be unpacked ({error}); pack it anew") from None
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise self.damaged(name, error) from None
            return content


class TarSource(ArchiveSource):
    """Files in a tar, compressed or not (a compressed one is read once from end to end for its index)."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._members: dict[str, tarfile.TarInfo] = {}

    def _open(self) -> tarfile.TarFile:
        archive = tarfile.open(self.root)  # noqa: SIM115 - kept open for the process
        self._members = {m.name.removeprefix("./"): m for m in archive.getmembers() if m.isfile()}
        return archive

    def names(self) -> tuple[str, ...]:
        with self._lock:
            self._opened()
            return tuple(sorted(self._members))

    def read(self, name: str) -> bytes:
        with self._lock:
            archive = self._opened()
            member = self._members.get(name)
            file = archive.extractfile(member) if member else None
            if file is None:
                raise self.missing(name)
            try:
                content: bytes = file.read()
            except (tarfile.TarError, zlib.error, EOFError) as error:
                raise self.damaged(name, error) from None
            return content


def open_source(path: str | Path) -> Source:
    """The source at ``path``: a directory, a ``.zip``, or a tar.

    Raises:
        DatasetLayoutError: if nothing is there or it is none of these.
    """
    root = Path(path).expanduser()
    if root.is_dir():
        return DirectorySource(root)
    if not root.exists():
        raise DatasetLayoutError(f"{root} does not exist; give a directory, a .zip or a .tar")
    if zipfile.is_zipfile(root):
        return ZipSource(root)
    if tarfile.is_tarfile(root):
        return TarSource(root)
    raise DatasetLayoutError(f"{root} is neither a directory nor a zip or tar archive")
