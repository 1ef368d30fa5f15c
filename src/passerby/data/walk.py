"""The files of a directory or an archive, found through links; hidden folders and those of systems are skipped."""

from __future__ import annotations

import os
import posixpath
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from passerby.errors import DatasetLayoutError

SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""The folders that operating systems and storage servers lay beside a user's own."""
MOST_VISITS = 16
"""The most links to one folder that are followed: links to links to links could lead to more files than a disk has."""
MOST_LINKED = 1_000_000
"""The most files that the links of an archive may lead to."""
Member = TypeVar("Member")


class Walk(NamedTuple):
    """The outcome of a walk, each part sorted."""

    files: tuple[str, ...]
    """The names of the regular files."""
    linked: tuple[str, ...]
    """The folders that are links, and were followed."""
    lost: tuple[str, ...]
    """The links that lead to no file or folder, and what is neither (a pipe, a device)."""


def is_skipped_folder(name: str) -> bool:
    """Return whether a folder of this name is hidden, or a system's own."""
    return name in SYSTEM_FOLDERS or (name.startswith(".") and name not in (".", ".."))


def is_in_skipped_folder(name: str) -> bool:
    """Return whether any folder of a file's name is skipped."""
    return any(map(is_skipped_folder, name.split("/")[:-1]))


def walk(root: Path) -> Walk:
    """Return what lies below a directory; a link back to a folder around it is not followed.

    Raises:
        DatasetLayoutError: if a folder cannot be listed, or links lead to one folder too often.
    """
    files: list[str] = []
    linked: list[str] = []
    lost: list[str] = []
    visits: Counter[tuple[int, int]] = Counter()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(root, folder):
            name = f"{folder}{entry.name}"
            kind = _kind(entry)
            if kind == "file":
                files.append(name)
            elif kind == "folder" and not is_skipped_folder(entry.name):
                if entry.is_symlink():
                    if _leads_back(root, name):
                        continue
                    _count_visit(root, name, visits)
                    linked.append(name)
                waiting.append(f"{name}/")
            elif kind == "lost":
                lost.append(name)
    return Walk(tuple(sorted(files)), tuple(sorted(linked)), tuple(sorted(lost)))


def _entries(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as found:
            return list(found)
    except OSError as error:
        shown = folder if len(folder) <= 80 else f"{folder[:40]}…{folder[-40:]}"
        raise DatasetLayoutError(
            f"{root}: folder {shown!r} cannot be listed ({error.strerror or error}). Fix: change its permissions, "
            "move it, or give the path of another folder"
        ) from None


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_file():
            return "file"
        return "folder" if entry.is_dir() else "lost"
    except OSError:  # a link to itself
        return "lost"


def _leads_back(root: Path, name: str) -> bool:
    """Return whether a link leads to a folder that it lies in, at any depth."""
    link = root / name
    around = [*link.parents, *link.parent.resolve().parents]
    return any(link.samefile(folder) for folder in around)


def _count_visit(root: Path, name: str, visits: Counter[tuple[int, int]]) -> None:
    found = (root / name).stat()
    visits[found.st_dev, found.st_ino] += 1
    if visits[found.st_dev, found.st_ino] > MOST_VISITS:
        raise DatasetLayoutError(
            f"{root}: more than {MOST_VISITS} links lead to one folder, the last of them {name[:200]!r}. Fix: remove "
            "links, or give the path of the folder that they lead to"
        )


def link_target(name: str, text: str) -> str:
    """Return the name that a symbolic link in an archive leads to, relative to the archive."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), text))


def follow_links(
    files: Mapping[str, Member], links: Mapping[str, str]
) -> tuple[dict[str, Member], tuple[str, ...], tuple[str, ...]]:
    """Return the files of an archive with those that links lead to, the links to folders, and the links to nothing.

    A link to a folder is followed once no other link below that folder waits. One back to a folder around it is not
    followed; links in a circle lead to nothing.

    Raises:
        DatasetLayoutError: if the links lead to more than :data:`MOST_LINKED` files.
    """
    found, folders = dict(files), list[str]()
    waiting = {name: target for name, target in links.items() if target != "." and not name.startswith(f"{target}/")}
    while waiting:
        names, pending = sorted(found), sorted(waiting)
        followed = []
        for name, target in waiting.items():
            if target in found:
                found[name] = found[target]
                followed.append(name)
            elif target not in waiting and not _below(pending, target) and (below := _below(names, target)):
                found.update({name + file[len(target) :]: found[file] for file in below})
                folders.append(name)
                followed.append(name)
            if len(found) > len(files) + MOST_LINKED:
                raise DatasetLayoutError(f"its links lead to more than {MOST_LINKED:,} files. Fix: pack it without")
        if not followed:
            break
        for name in followed:
            del waiting[name]
    return found, tuple(sorted(folders)), tuple(sorted(waiting))


def _below(names: list[str], folder: str) -> list[str]:
    """Return the sorted names that lie below a folder."""
    prefix = f"{folder}/"
    return names[bisect_left(names, prefix) : bisect_left(names, f"{prefix}\U0010ffff")]
