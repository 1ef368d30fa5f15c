"""Find the files that tables list, and describe files in the errors of all layouts."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable
from functools import cached_property


def preview(items: Iterable[str], *, shown: int = 3) -> str:
    """Return the first few items, and how many more there are.

    >>> preview(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    'a.jpg, b.jpg, c.jpg and 1 more'
    """
    listed = list(items)
    more = f" and {len(listed) - shown:,} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def count_of(number: int, one: str, many: str) -> str:
    """Return a count with its noun: ``1 image``, ``1,200 images``."""
    return f"{number:,} {one if number == 1 else many}"


class FileNames:
    """The names of a source's files, found as tables write them: é in one code or two, folders with backslashes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def find(self, listed: str) -> str | None:
        r"""Return the name of the file that a table lists; ``None`` if there is none, or more than one could be meant.

        >>> FileNames(["images/ann/1.jpg"]).find(r"images\ann\1.jpg")
        'images/ann/1.jpg'
        """
        return listed if listed in self._names else self._plain.get(_plain(listed))

    @cached_property
    def _plain(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name in self._names:
            plain = _plain(name)
            found[plain] = None if plain in found else name
        return found


def _plain(name: str) -> str:
    return posixpath.normpath(unicodedata.normalize("NFC", name.replace("\\", "/")))
