"""Which files of embeddings this user wrote: only such a file is believed where its images are.

A file of embeddings names a place and images in it. One from elsewhere could name any file of this disk, or synthetic
images that take hours to render, and a figure of a search would show them. Files that passerby writes are therefore
remembered in the cache, by a digest of what they name; of all others the user has to say where the images are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from passerby.data.source import cache_root

FOLDER = "galleries"
"""The folder of the cache with an empty file for each file of embeddings that was written."""


def remember_written(root: str, paths: Sequence[str]) -> None:
    """Remember that a file with these images was written here; a cache that cannot be written to remembers nothing."""
    file = cache_root() / FOLDER / _digest(root, paths)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def was_written_here(root: str, paths: Sequence[str]) -> bool:
    """Return whether a file with these images, in this order, was written here."""
    return (cache_root() / FOLDER / _digest(root, paths)).is_file()


def _digest(root: str, paths: Sequence[str]) -> str:
    found = hashlib.blake2b("\0".join((root, *paths)).encode("utf-8", "surrogatepass"), digest_size=16)
    return found.hexdigest()
