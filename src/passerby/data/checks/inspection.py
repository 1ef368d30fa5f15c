"""A dataset with what opening its files showed: what the rules judge."""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from passerby.data.dataset import SPLITS, Dataset, Split
from passerby.data.images.decode import decode
from passerby.data.source import Source
from passerby.errors import PasserbyError
from passerby.types import Role, Sample


class FileInspection(NamedTuple):
    """What opening one file showed."""

    digest: str = ""
    size: tuple[int, int] | None = None
    """``(width, height)``; ``None`` where it cannot be decoded."""
    problem: str = ""


@dataclass(frozen=True)
class ExaminedDataset:
    """A dataset and what was seen in its files (nothing, where they were not opened)."""

    dataset: Dataset
    looks: dict[str, FileInspection]

    def samples(self, *splits: Split) -> list[Sample]:
        return [s for split in splits for s in getattr(self.dataset, split)]

    def persons(self, *splits: Split) -> list[Sample]:
        """Without junk, distractors and people whom nobody named."""
        return [s for s in self.samples(*splits) if s.role is Role.PERSON and s.pid is not None]

    def content(self, sample: Sample) -> str:
        """What makes two samples the same picture: its bytes, or the file's name where they were not read."""
        look = self.looks.get(sample.path)
        return look.digest if look and look.digest else sample.path


def inspect_files(dataset: Dataset, workers: int) -> dict[str, FileInspection]:
    paths = sorted({s.path for split in SPLITS for s in getattr(dataset, split)})
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(paths, pool.map(partial(_look, dataset.source), paths), strict=True))


def _look(source: Source, path: str) -> FileInspection:
    digest = ""
    try:
        content = source.read(path)
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        return FileInspection(digest, decode(content, name=path).size)
    except (PasserbyError, OSError, EOFError, zlib.error) as error:
        return FileInspection(digest, problem=str(error) or type(error).__name__)
