"""The digests of what a run reads: a path may hold other data one day, and the same data may lie under another path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from passerby.data.dataset import Dataset
from passerby.data.digest import dataset_digest
from passerby.errors import ConfigError, WeightsError
from passerby.training.config import TrainConfig
from passerby.training.run import RunFolder
from passerby.weights.find import find_file

INPUTS = "inputs.json"
"""The file of a run folder that holds the digests."""
LABELS = "data.train.labels"
"""The key of the digest of the class that each training image has; runs of before lack it."""
_WEIGHTS = ("model.backbone_weights", "model.weights")
"""The settings of files that are read at the start only."""


def digests(config: TrainConfig, training: Dataset, test: Dataset | None) -> dict[str, str]:
    """Return a hex digest of what each setting names: the data, and single files (attributes, keypoints, weights).

    Other values (a keyword, a folder, something to download) have no digest: the setting itself identifies them.
    """
    found = {"data.train": dataset_digest(training, "train"), LABELS: labels_digest(training)}
    if test is not None:
        found["data.test"] = dataset_digest(test, "query", "gallery")
    return found | file_digests(config)


def file_digests(config: TrainConfig) -> dict[str, str]:
    """Return a hex digest of each single file that a setting names."""
    files = {
        "data.attributes": config.data.attributes,
        "data.test_attributes": config.data.test_attributes,
        "parts.keypoints": config.parts.keypoints,
        "model.backbone_weights": _weights_file(config.model.backbone_weights),
        "model.weights": _weights_file(config.model.weights),
    }
    return {name: _content(*file) for name, place in files.items() if place and (file := _file(place))}


def labels_digest(dataset: Dataset) -> str:
    """Return a hex digest of the class labels of the training images, in order, and of the people they stand for."""
    pids = [sample.pid for sample in dataset.train]
    return hashlib.blake2b(json.dumps(pids).encode(), digest_size=16).hexdigest()


def comparable(had: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of today without those that a run of an earlier version could not have."""
    return {name: digest for name, digest in now.items() if name in had or name != LABELS}


def check_same_inputs(run: RunFolder, now: Mapping[str, str]) -> None:
    """Check that a run goes on with what it began with; files that are read at the start only may be gone.

    Raises:
        ConfigError: if data, labels or files have other content; the message names them.
    """
    had = run.inputs()
    differ = [name for name in had if name in now and had[name] != now[name]]
    differ += [name for name in had if name not in now and name not in _WEIGHTS]
    if differ:
        shown = "; ".join(f"{name} (digest {had[name][:12]}, now {now.get(name, 'none')[:12]})" for name in differ)
        raise ConfigError(
            f"'{run.path}' cannot go on: what it reads is no longer what it began with: {shown}. Fix: restore the "
            "data, or train again under another --run"
        )


def _weights_file(source: str | None) -> str | None:
    """Return the file of weights that lie on this disk; ``None`` for others."""
    if not source or source.startswith("hf:"):
        return None
    try:
        return str(find_file(source)[0])
    except WeightsError:  # loading it says why
        return None


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
