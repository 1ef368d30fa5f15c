"""Market-1501 (Zheng et al., ICCV 2015): ``bounding_box_train``, ``query``, ``bounding_box_test``.

Names are ``PPPP_cCsS_FFFFFF_NN.jpg``: person, camera, sequence, frame, box. Person −1 is junk, 0000 a
distractor. Some files of the original end in ``.jpg.jpg``; they are people like all others.

*Deviations*: a copy may lack folders (its splits are then empty), lie at any depth, and hold stray files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from passerby.data.dataset import SPLITS, Dataset, Split
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

FOLDERS: dict[str, Split] = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_(\d+)_\d+(\.(jpe?g|png|bmp|webp))+", re.IGNORECASE)
_ROLES = {-1: Role.JUNK, 0: Role.DISTRACTOR}


def _sample(path: str) -> Sample | None:
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    pid = int(match[1])
    return Sample(path, pid, int(match[2]), _ROLES.get(pid, Role.PERSON), time=int(match[3]))


def _folder_of(path: str) -> str | None:
    """The path down to and including the split's folder: the innermost of that name."""
    parts = path.split("/")[:-1]
    depth = max((i for i, part in enumerate(parts, start=1) if part in FOLDERS), default=0)
    return "/".join(parts[:depth]) or None


def _read(source: Source) -> Dataset:
    splits: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    places: dict[Split, set[str]] = {split: set() for split in SPLITS}
    strange = []
    for path in filter(is_image, source.names()):
        if (folder := _folder_of(path)) is None:
            continue
        split, sample = FOLDERS[folder.rsplit("/", 1)[-1]], _sample(path)
        if sample is None or (sample.role is not Role.PERSON and split != "gallery"):
            strange.append(path)
            continue
        splits[split].append(sample)
        places[split].add(folder)
    _refuse(source, strange, places)
    return Dataset("market1501", source, **{split: tuple(samples) for split, samples in splits.items()})


def _refuse(source: Source, strange: list[str], places: dict[Split, set[str]]) -> None:
    if strange:
        raise DatasetLayoutError(
            f"{source.root}: {len(strange):,} pictures are not named as Market-1501's: {', '.join(strange[:3])}; "
            "wanted PPPP_cCsS_FFFFFF_NN.jpg, where PPPP is -1 (junk) or 0000 (distractor) in bounding_box_test only; "
            "rename or remove them"
        )
    for folders in places.values():
        if len(folders) > 1:
            raise DatasetLayoutError(
                f"{source.root} has more than one copy of a split: {', '.join(sorted(folders))}; give the path of one"
            )
    if not any(places.values()):
        raise DatasetLayoutError(f"{source.root} has no pictures in any of {', '.join(FOLDERS)}")


def _recognises(names: Sequence[str]) -> bool:
    return any(_is_typical(name) for name in names)


def _is_typical(name: str) -> bool:
    """Only Market calls a folder ``bounding_box_…``; a ``query`` folder is its own if the picture's name is, too."""
    folder = name.split("/")[-2:-1]
    return folder in (["bounding_box_train"], ["bounding_box_test"]) or (
        folder == ["query"] and _sample(name) is not None
    )


DATASETS.register("market1501")(Reader(_read, _recognises))
