"""Market-1501 (Zheng et al., ICCV 2015): ``bounding_box_train``, ``query``, ``bounding_box_test``.

Names are ``PPPP_cCsS_FFFFFF_NN.jpg``: person, camera, sequence, frame, box. Person −1 is junk, 0000 a
distractor. Some files of the original end in ``.jpg.jpg``; they are people like all others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from passerby.data.dataset import Dataset
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
_NAME = re.compile(r"^(-1|\d{1,6})_c(\d+)s\d+_(\d+)_\d+(\.jpe?g|\.png)+$", re.IGNORECASE)


def _sample(path: str) -> Sample | None:
    match = _NAME.match(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    pid = int(match[1])
    role = {-1: Role.JUNK, 0: Role.DISTRACTOR}.get(pid, Role.PERSON)
    return Sample(path, pid, int(match[2]), role, time=int(match[3]))


def _split_of(name: str) -> str | None:
    parts = name.split("/")
    return FOLDERS.get(parts[-2]) if len(parts) > 1 else None


def _read(source: Source) -> Dataset:
    splits: dict[str, list[Sample]] = {split: [] for split in FOLDERS.values()}
    strange = []
    for name in source.names():
        split = _split_of(name)
        if split is None or not is_image(name):
            continue
        sample = _sample(name)
        if sample is None:
            strange.append(name)
        else:
            splits[split].append(sample)
    if strange:
        raise DatasetLayoutError(
            f"{source.root}: {len(strange)} pictures are not named PPPP_cCsS_FFFFFF_NN.jpg: {', '.join(strange[:3])}"
        )
    if not any(splits.values()):
        raise DatasetLayoutError(f"{source.root} has no pictures in any of {', '.join(FOLDERS)}")
    return Dataset("market1501", source, *(tuple(splits[s]) for s in ("train", "query", "gallery")))


def _recognises(names: Sequence[str]) -> bool:
    return any(_split_of(name) for name in names)


DATASETS.register("market1501")(Reader(_read, _recognises))
