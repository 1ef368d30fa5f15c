"""Sources of image files: a directory, or the zip or tar that a benchmark comes in, read in place.

A source lists names (relative, forward slashes, sorted) and reads one file's bytes. It also answers what callers would
otherwise find out from its type: whether its images are synthetic, what identifies them, and which label files lie
beside them. Sources can be pickled into worker processes and read from several threads.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import threading
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerby.data.archive import archive_kind, open_tar, open_zip, read_file, read_tarred, read_zipped, what_else
from passerby.data.provenance import is_generated_set
from passerby.data.walk import follow_links, is_in_skipped_folder, link_target, walk
from passerby.errors import DatasetLayoutError, is_utf8

if TYPE_CHECKING:
    from PIL import Image

    from passerby.data.keypoints.skeleton import Labels

ATTRIBUTES, KEYPOINTS, SETTINGS, MASKS = "attributes.csv", "keypoints.json", "settings.json", "masks"
"""The names of the label files, and of the folder of part masks, beside the images of a synthetic dataset."""
CACHE_FOLDER = ".passerby"
"""The folder beside the images that keeps what was computed from them."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp")


def is_image(name: str) -> bool:
    """Return whether the name ends like an image's, and neither it nor a folder of it is hidden or a system's."""
    base = name.rsplit("/", 1)[-1]
    return base.lower().endswith(IMAGE_SUFFIXES) and not base.startswith(".") and not is_in_skipped_folder(name)


def cache_root() -> Path:
    """Return the folder of everything that is cached: ``$PASSERBY_CACHE`` or ``~/.cache/passerby``."""
    return Path(os.environ.get("PASSERBY_CACHE") or "~/.cache/passerby").expanduser()


class Source(ABC):
    """The named files under one root."""

    is_generated: bool = False
    """A flag of sources that render images on reading; they have :meth:`labels`, :meth:`render`, :meth:`outfits`."""
    is_lasting: bool = True
    """A flag of sources whose images can be read again later; those of a stream cannot."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """The text that opens this source again, from any directory."""
        return str(self.root.expanduser().resolve())

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return every file's name relative to the root, sorted; hidden folders and those of systems are skipped."""

    def links(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the folders that are links, whose files :meth:`names` lists, and the links that lead to nothing."""
        return (), ()

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return name in self.names()

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return one file's content.

        Raises:
            DatasetLayoutError: if there is no such file, or it cannot be read.
        """

    def image(self, name: str) -> Image.Image | None:  # noqa: ARG002 - for sources that keep images
        """Return an image that is decoded already; ``None`` if it has to be."""
        return None

    @property
    def is_synthetic(self) -> bool:
        """A flag of sources without any real person. Files on disk have to prove it, which lists their names."""
        return False

    def digest(self, name: str) -> bytes:
        """Return what identifies one file: a hash of its content, or what a generator renders it from.

        Raises:
            DatasetLayoutError: if the file has to be read and cannot be.
        """
        return hashlib.blake2b(self.read(name), digest_size=16).digest()

    def identity(self, name: str) -> str:
        """Return what tells one file from another without reading it: two names of one file, by a link, have one."""
        return name

    def fingerprint(self) -> str:
        """Return hex digits that differ where names or contents of the files do; every file is read.

        Raises:
            DatasetLayoutError: if a file cannot be read.
        """
        found = hashlib.blake2b(digest_size=16)
        for name in self.names():
            found.update(name.encode(errors="surrogateescape") + b"\0" + self.digest(name))
        return found.hexdigest()

    def sidecar(self, name: str) -> bytes | None:
        """Return a label file that lies beside the images, such as ``settings.json``; ``None`` if there is none.

        Raises:
            DatasetLayoutError: if it is there and cannot be read.
        """
        return self.read(name) if self.has(name) else None

    def cache_folder(self) -> Path | None:
        """Return the folder to keep in what is computed from the images; ``None`` if nothing should be kept."""
        return None

    def labels(self, name: str) -> Labels:
        """Return what is known of one generated image. It is rendered for that.

        Raises:
            DatasetLayoutError: if there is no such image.
        """
        return self.render(name)[1]

    def render(self, name: str) -> tuple[bytes, Labels]:
        """Return one generated image as a file, and its labels.

        Raises:
            DatasetLayoutError: if there is no such image.
        """
        raise NotImplementedError(f"{type(self).__name__} does not generate {name!r}: check is_generated first")

    def outfits(self) -> Mapping[str, tuple[int, int]]:
        """Return the person and the outfit, both counted from 1, in each generated image."""
        raise NotImplementedError(f"{type(self).__name__} generates no images: check is_generated first")

    def missing(self, name: str) -> DatasetLayoutError:
        """Return the error of a file that does not exist."""
        return DatasetLayoutError(f"{self.root} has no file {name!r}. Fix: give a name that it has")

    def damaged(self, name: str, error: Exception) -> DatasetLayoutError:
        """Return the error of a file that cannot be unpacked."""
        reason = str(error) or type(error).__name__
        return DatasetLayoutError(f"{self.root}: {name!r} is damaged ({reason}). Fix: fetch it again")


class StoredSource(Source):
    """A source of files on disk, packed or not."""

    takes_any_name: bool = False
    """A flag to list images whose names are not UTF-8, for a caller who skips them one by one."""

    @property
    def is_synthetic(self) -> bool:
        try:
            settings = self.sidecar(SETTINGS)
        except DatasetLayoutError:  # what cannot be read proves nothing
            settings = None
        images = (name for name in self.names() if is_image(name))
        return is_generated_set(self.root.expanduser().absolute(), settings, SETTINGS, images)

    def _checked(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names, those of all images being UTF-8: others could not be stored after the work on them."""
        if self.takes_any_name:
            return names
        if lost := [name for name in names if not name.isascii() and is_image(name) and not is_utf8(name)]:
            raise DatasetLayoutError(
                f"{self.root}: {len(lost):,} images have names that are not UTF-8, the first {lost[0]!r}. Fix: rename "
                "them, for example by `convmv -r --notest -f gbk -t utf-8 FOLDER`"
            )
        return names

    def cache_folder(self) -> Path | None:
        return cache_root() / "poses" / hashlib.sha256(self.place.encode()).hexdigest()[:16]


class DirectorySource(StoredSource):
    """The files below a directory."""

    def cache_folder(self) -> Path | None:
        root = self.root.expanduser().resolve()
        return root / CACHE_FOLDER if root != Path(root.anchor) and _is_writable(root) else super().cache_folder()

    def names(self) -> tuple[str, ...]:
        return self._checked(walk(self.root).files)

    def links(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = walk(self.root)
        return found.linked, found.lost

    def identity(self, name: str) -> str:
        return str((self.root / name).resolve())

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()  # without a walk: the root may be that of the whole disk

    def read(self, name: str) -> bytes:
        try:
            return read_file(self.root / name)
        except (FileNotFoundError, NotADirectoryError):
            raise self.missing(name) from None
        except PermissionError:
            raise DatasetLayoutError(f"{self.root}: {name!r} may not be read. Fix: change its permissions") from None
        except OSError as error:
            raise DatasetLayoutError(
                f"{self.root}: {name!r} cannot be read ({error.strerror or error}). Fix: check the file and its disk"
            ) from None


def _is_writable(folder: Path) -> bool:
    """Return whether permissions allow to write, and are meant to: an administrator may write anywhere."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


class ArchiveSource(StoredSource):
    """An archive, opened once per process and read under a lock (archive objects are not thread-safe)."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._lock = threading.Lock()
        self._archive: Any = None
        self._members: dict[str, Any] = {}
        self._links: tuple[tuple[str, ...], tuple[str, ...]] = (), ()
        self._first_names: dict[int, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "takes_any_name": self.takes_any_name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["root"])
        self.takes_any_name = state["takes_any_name"]

    def __del__(self) -> None:
        # An archive left to the garbage collector warns that it is open; one that failed in __init__ has none.
        if (archive := getattr(self, "_archive", None)) is not None:
            archive.close()

    @abstractmethod
    def _open(self) -> Any: ...

    def _opened(self) -> Any:
        if self._archive is None:
            self._archive = self._open()
        return self._archive

    def names(self) -> tuple[str, ...]:
        with self._lock:
            self._opened()
            names = tuple(sorted(name for name in self._members if not is_in_skipped_folder(name)))
        return self._checked(names)

    def links(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        with self._lock:
            self._opened()
            return self._links

    def identity(self, name: str) -> str:
        with self._lock:
            self._opened()
            return self._first_names.get(id(self._members.get(name)), name)

    def _index(self, files: Mapping[str, Any], links: Mapping[str, str]) -> None:
        """Remember the members by the names of the files and of the links to them."""
        try:
            self._members, folders, lost = follow_links(files, links)
        except DatasetLayoutError as error:
            raise DatasetLayoutError(f"{self.root}: {error}") from None
        self._links = folders, lost
        self._first_names = {id(member): name for name, member in files.items()}


class ZipSource(ArchiveSource):
    """The files in a zip; a backslash in a name, as tools on Windows write it, separates folders."""

    def _open(self) -> zipfile.ZipFile:
        archive = open_zip(self.root)
        files: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            if member.is_dir() or (name := _plain_name(member.filename.replace("\\", "/"))).endswith("/"):
                continue
            other = files.setdefault(name, member)
            if (other.CRC, other.file_size) != (member.CRC, member.file_size):
                raise DatasetLayoutError(
                    f"{self.root} has two files of the name {name!r}, and they differ. Fix: pack it anew, with one"
                )
        links = {name: _target(archive, name, member) for name, member in files.items() if _is_link(member)}
        self._index({name: member for name, member in files.items() if name not in links}, links)
        return archive

    def read(self, name: str) -> bytes:
        with self._lock:
            archive = self._opened()
            if name not in self._members:
                raise self.missing(name)
            return read_zipped(archive, self._members[name], f"{self.root}: {name!r}")


class TarSource(ArchiveSource):
    """The files in a tar, compressed or not (a compressed one is read once from end to end for its index)."""

    def _open(self) -> tarfile.TarFile:
        archive = open_tar(self.root)
        files, links = dict[str, tarfile.TarInfo](), dict[str, str]()
        for member in archive.getmembers():
            name = _plain_name(member.name)
            if member.isfile():
                files[name] = member
            elif member.issym():
                links[name] = link_target(name, member.linkname)
            elif member.islnk():
                links[name] = _plain_name(member.linkname)
        self._index(files, {name: target for name, target in links.items() if name not in files})
        return archive

    def read(self, name: str) -> bytes:
        with self._lock:
            archive = self._opened()
            if name not in self._members:
                raise self.missing(name)
            return read_tarred(archive, self._members[name], f"{self.root}: {name!r}")


def _plain_name(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return name


def _is_link(member: zipfile.ZipInfo) -> bool:
    """Return whether a member of a zip is a symbolic link, whose content is the path that it leads to."""
    return stat.S_ISLNK(member.external_attr >> 16) and member.file_size <= 4096


def _target(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> str:
    """Return the name that a symbolic link in a zip leads to; an empty one if the link cannot be read."""
    try:
        return link_target(name, read_zipped(archive, member, repr(name)).decode(errors="replace"))
    except DatasetLayoutError:
        return ""


def open_source(path: str | Path) -> Source:
    """Open the source at ``path``: a directory, a zip or a tar.

    Raises:
        DatasetLayoutError: if ``path`` is empty, does not exist, or is none of these.
    """
    if not str(path).strip():
        raise DatasetLayoutError(
            "no path: got an empty text, expected a directory, a .zip or a .tar. Fix: give its path"
        )
    root = Path(path).expanduser()
    if not is_utf8(str(root.absolute())):
        raise DatasetLayoutError(f"path {str(root.absolute())!r} is not UTF-8, so it cannot be stored. Fix: rename it")
    if root.is_dir():
        return DirectorySource(root)
    if not root.exists():
        raise DatasetLayoutError(f"{root} does not exist. Fix: give a directory, a .zip or a .tar")
    if kind := archive_kind(root):
        return ZipSource(root) if kind == "zip" else TarSource(root)
    raise DatasetLayoutError(f"{root} is {what_else(root)}. Fix: give a directory, a .zip or a .tar")
