"""The digest of a dataset: a few hex digits that depend on its content, not on its path or packing."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from passerby.data.dataset import Dataset, Split


@lru_cache(maxsize=8)
def dataset_digest(dataset: Dataset, *splits: Split) -> str:
    """Return hex digits that differ where the images of these splits do, their order, or their labels.

    Every file is read, except those of a generated dataset: its settings and the version of the renderer identify them.
    The digest of a loaded dataset is computed once.

    Raises:
        DatasetLayoutError: if a file cannot be read.
    """
    found = hashlib.blake2b(f"{dataset.single_shot}".encode(), digest_size=16)
    for split in splits:
        for sample in getattr(dataset, split):
            known = f"{split} {sample.pid} {sample.camid} {int(sample.role)} "
            found.update(known.encode() + dataset.source.digest(sample.path))
    return found.hexdigest()
