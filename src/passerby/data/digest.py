"""What a data set holds as a few hex digits: other digits are other data, wherever it lies and however it is packed."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from passerby.data.dataset import Dataset, Split
from passerby.data.source import Source
from passerby.synthetic.dataset import PedestrianSource, short_hash


@lru_cache(maxsize=8)
def digest_of(dataset: Dataset, *splits: Split) -> str:
    """Hex digits that differ where the pictures of these splits do, their order, or what is known of them.

    Every file is read, save those of people who are drawn: their settings and the version of the drawing say all.
    A data set that was loaded once is read once.

    Raises:
        DatasetLayoutError: if a file cannot be read.
    """
    found = hashlib.blake2b(f"{dataset.single_shot}".encode(), digest_size=16)
    for split in splits:
        for sample in getattr(dataset, split):
            known = f"{split} {sample.pid} {sample.camid} {int(sample.role)} "
            found.update(known.encode() + _picture(dataset.source, sample.path))
    return found.hexdigest()


def _picture(source: Source, path: str) -> bytes:
    if isinstance(source, PedestrianSource):
        return f"{short_hash(source.settings)} {path}".encode()
    return hashlib.blake2b(source.read(path), digest_size=16).digest()
