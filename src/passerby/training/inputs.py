"""The digests of what a run reads: a path may hold other data one day, and the same data may lie under another path."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from passerby.data.dataset import Dataset
from passerby.data.digest import dataset_digest
from passerby.training.config import TrainConfig

INPUTS = "inputs.json"
"""The file of a run folder that holds the digests."""


def digests(config: TrainConfig, training: Dataset, test: Dataset | None) -> dict[str, str]:
    """Return a hex digest of what each setting names: the data, and single files (attributes, keypoints, weights).

    Other values (a keyword, a folder, something to download) have no digest: the setting itself identifies them.
    """
    found = {"data.train": dataset_digest(training, "train")}
    if test is not None:
        found["data.test"] = dataset_digest(test, "query", "gallery")
    files = {
        "data.attributes": config.data.attributes,
        "data.test_attributes": config.data.test_attributes,
        "parts.keypoints": config.parts.keypoints,
        "model.backbone_weights": config.model.backbone_weights,
    }
    return found | {name: _content(*file) for name, place in files.items() if place and (file := _file(place))}


def _file(place: str) -> tuple[Path, int] | None:
    """Return the file and its modification time; ``None`` where ``place`` is not a file."""
    try:
        path = Path(place).expanduser()
        return (path, path.stat().st_mtime_ns) if path.is_file() else None
    except (OSError, RuntimeError):  # a file name that is too long; a home folder of no user
        return None


@lru_cache(maxsize=8)
def _content(path: Path, changed: int) -> str:  # noqa: ARG001 - part of the cache key
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
