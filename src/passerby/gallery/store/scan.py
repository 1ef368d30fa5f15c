"""The search of files for bytes that should be gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WINDOW = 16
"""The bytes of a vector that are looked for: four floats."""
_BLOCK = 1 << 24
_TABLE = 1 << 20


class Needles:
    """The vectors that were deleted. A file holds one if it holds sixteen of its bytes in a row, at any offset.

    Looked for are the four floats around the largest number of each vector.
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._windows: list[bytes] = []
        self._vectors = 0
        self.copies = 0
        """The number of vectors that are not looked for, since rows with the same ones stay."""

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._vectors

    def clear(self) -> None:
        """Remove all."""
        self._windows, self._vectors, self.copies = [], 0, 0

    def add(self, rows: NDArray[np.float32]) -> None:
        """Look for these rows, too."""
        self._vectors += len(rows)
        self._windows += [window for row in rows if (window := _telling(row))]

    def add_copies(self, count: int) -> None:
        """Count vectors that are not looked for."""
        self._vectors += count
        self.copies += count

    def add_bytes(self, contents: Sequence[bytes]) -> None:
        """Look for the beginnings of these bytes, too."""
        self._vectors += len(contents)
        self._windows += [content[:_WINDOW] for content in contents]

    def scan(self, folder: Path) -> tuple[int, int]:
        """Return how many bytes the files below a folder have, and how many of the vectors are in them."""
        wanted = sorted(set(self._windows))
        scanned, found = 0, set[bytes]()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            for block in _blocks(file):
                found |= _present(block, wanted)
            scanned += file.stat().st_size
        return scanned, len(found)


def _telling(row: NDArray[np.float32]) -> bytes | None:
    """Return sixteen bytes of a row around its largest number; ``None`` if it is too short or all the same."""
    width = _WINDOW // row.itemsize
    if len(row) < width:
        return None
    first = min(int(np.abs(row).argmax()), len(row) - width)
    window = row[first : first + width].tobytes()
    return window if len(set(window)) > 1 else None


def _blocks(file: Path) -> Iterator[bytes]:
    """Yield a file in blocks that overlap by a window."""
    with file.open("rb") as stream:
        tail = b""
        while block := stream.read(_BLOCK):
            yield tail + block
            tail = block[-(_WINDOW - 1) :]


def _present(block: bytes, wanted: list[bytes]) -> set[bytes]:
    """Return which of the windows a block holds: first bytes are looked up in a table, at each offset."""
    if len(block) < _WINDOW or not wanted:
        return set()
    known = set(wanted)
    heads = np.array([int.from_bytes(window[:4], "little") for window in wanted], np.uint32)
    table = np.zeros(_TABLE, np.bool_)
    table[_hash(heads)] = True
    found = set()
    for phase in range(4):
        words = np.frombuffer(block, np.uint32, (len(block) - phase) // 4, phase)
        for place in np.flatnonzero(table[_hash(words)]):
            start = 4 * int(place) + phase
            if (window := block[start : start + _WINDOW]) in known:
                found.add(window)
    return found


def _hash(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = (words * np.uint32(2654435761)) >> np.uint32(12)
    return found
