"""The input of the rules: a dataset, with the results of opening its files."""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from passerby.data.dataset import SPLITS, Dataset, Split
from passerby.data.images.decode import decode
from passerby.data.source import Source
from passerby.errors import PasserbyError
from passerby.types import Role, Sample


class FileInspection(NamedTuple):
    """The result of opening one file."""

    digest: str = ""
    """The hash of the pixels; of the bytes, if they are no image; empty, if they cannot be read."""
    size: tuple[int, int] | None = None
    """The size (width, height); ``None`` if it cannot be decoded."""
    problem: str = ""
    constant: bool = False
    """A flag of images of a single color."""


@dataclass(frozen=True)
class ExaminedDataset:
    """A dataset with the inspections of its files, by path (none, if they were not opened)."""

    dataset: Dataset
    files: dict[str, FileInspection]

    def samples(self, *splits: Split) -> list[Sample]:
        """Return the samples of some splits."""
        return [s for split in splits for s in getattr(self.dataset, split)]

    def persons(self, *splits: Split) -> list[Sample]:
        """Return the samples of some splits that have an identity: no junk, no distractors, no unlabeled ones."""
        return [s for s in self.samples(*splits) if s.role is Role.PERSON and s.pid is not None]

    def content(self, sample: Sample) -> str:
        """Return what identifies the image: the digest of its pixels, or its place if they were not read."""
        file = self.files.get(sample.path)
        return file.digest if file and file.digest else self.dataset.source.identity(sample.path)


def inspect_files(dataset: Dataset, workers: int) -> dict[str, FileInspection]:
    """Open and decode every file of a dataset."""
    paths = sorted({s.path for split in SPLITS for s in getattr(dataset, split)})
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(paths, pool.map(partial(_inspect, dataset.source), paths), strict=True))


def _inspect(source: Source, path: str) -> FileInspection:
    digest = ""
    try:
        content = source.read(path)
        digest = _digest(content)
        image = decode(content, name=path)
        pixels = np.asarray(image)
        # of the pixels, so that a copy in another format or with other metadata is the same image
        digest = _digest(pixels.tobytes() + repr(pixels.shape).encode())
        return FileInspection(digest, image.size, constant=bool((pixels == pixels[0, 0]).all()))
    except (PasserbyError, OSError, EOFError, zlib.error) as error:
        return FileInspection(digest, problem=str(error) or type(error).__name__)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
