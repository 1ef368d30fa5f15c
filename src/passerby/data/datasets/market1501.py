"""Market-1501 (Zheng et al., ICCV 2015): ``bounding_box_train``, ``query``, ``bounding_box_test``.

Names are ``PPPP_cCsS_FFFFFF_NN.jpg``: person, camera, sequence, frame, box. Person −1 is junk, 0000 a
distractor. Some files of the original end in ``.jpg.jpg``; they are treated like all others.

*Deviations*: a copy may lack folders (its splits are then empty), lie at any depth, hold stray files, and write its
folders in upper or lower case. Images with such names in a folder that is called like another split (``train``,
``test``) are an error: they would be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from passerby.data.dataset import SPLITS, Dataset, Split
from passerby.data.datasets.folder_names import SPLIT, kind_of
from passerby.data.datasets.layout import preview
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

FOLDERS: dict[str, Split] = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
HAND_DRAWN = "gt_bbox"
"""The folder of all boxes that were drawn by hand, which multi-query uses; many copies lack it."""
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_(\d+)_\d+(\.(jpe?g|jpe|jfif|png|bmp|webp))+", re.IGNORECASE)
_WANTED = "PPPP_cCsS_FFFFFF_NN.jpg, where PPPP is -1 (junk) or 0000 (distractor) in bounding_box_test only"
_ROLES = {-1: Role.JUNK, 0: Role.DISTRACTOR}


def _sample(path: str) -> Sample | None:
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    pid = int(match[1])
    return Sample(path, pid, int(match[2]), _ROLES.get(pid, Role.PERSON), time=int(match[3]))


def split_folder(path: str) -> str | None:
    """Return the path down to and including the split's folder, the innermost of that name."""
    parts = path.split("/")[:-1]
    depth = max((i for i, part in enumerate(parts, start=1) if part.lower() in FOLDERS), default=0)
    return "/".join(parts[:depth]) or None


def read_folders(
    source: Source,
    name: str,
    sample_of: Callable[[str], Sample | None],
    wanted: str,
    *,
    names: Iterable[str] | None = None,
) -> Dataset:
    """Read a dataset in Market-1501's three folders, which other datasets use with their own file names.

    Args:
        source: the source of the files.
        name: the name of the dataset.
        sample_of: a function from a path to its sample, or ``None`` for a name of another kind.
        wanted: the pattern of the file names, for errors.
        names: the files to consider; by default all.

    Raises:
        DatasetLayoutError: for images with other names, junk outside the gallery, two copies, or no images.
    """
    splits: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    places: dict[Split, set[str]] = {split: set() for split in SPLITS}
    unknown: list[str] = []
    elsewhere: list[str] = []
    for path in filter(is_image, source.names() if names is None else names):
        if (folder := split_folder(path)) is None:
            if _is_split(path.split("/")[-2:-1]) and sample_of(path):
                elsewhere.append(path)
            continue
        split, sample = FOLDERS[folder.rsplit("/", 1)[-1].lower()], sample_of(path)
        if sample is None or (sample.role is not Role.PERSON and split != "gallery"):
            unknown.append(path)
            continue
        splits[split].append(sample)
        places[split].add(folder)
    if unknown:
        raise DatasetLayoutError(
            f"{source.root}: {len(unknown):,} images are not named like those of {name}: {', '.join(unknown[:3])}; "
            f"expected {wanted}. Fix: rename or remove them"
        )
    _check_single_copy(source, places)
    _check_none_elsewhere(source, name, elsewhere)
    return Dataset(name, source, *(tuple(splits[split]) for split in SPLITS))


def _check_single_copy(source: Source, places: dict[Split, set[str]]) -> None:
    for folders in places.values():
        if len(folders) > 1:
            raise DatasetLayoutError(
                f"{source.root} has more than one copy of a split: {', '.join(sorted(folders))}. "
                "Fix: give the path of one"
            )
    if not any(places.values()):
        raise DatasetLayoutError(
            f"{source.root} has no images in any of {', '.join(FOLDERS)}. Fix: give the folder that holds these"
        )


def _is_split(folder: Sequence[str]) -> bool:
    return any((kind := kind_of(name)) and kind.what == SPLIT for name in folder)


def _check_none_elsewhere(source: Source, name: str, elsewhere: Sequence[str]) -> None:
    if elsewhere:
        folders = sorted({path.rpartition("/")[0] for path in elsewhere})
        raise DatasetLayoutError(
            f"{source.root}: {len(elsewhere):,} images of {name} lie in {preview(map(repr, folders))}, which would not "
            f"be read; expected {', '.join(FOLDERS)}. Fix: rename these folders, or move them away"
        )


def _read(source: Source) -> Dataset:
    dataset = read_folders(source, "market1501", _sample, _WANTED)
    queried = {(s.pid, s.camid) for s in dataset.query}
    boxes = [n for n in source.names() if is_image(n) and n.lower().split("/")[-2:-1] == [HAND_DRAWN]]
    drawn = map(_sample, boxes)
    further = tuple(s for s in drawn if s is not None and (s.pid, s.camid) in queried)
    return replace(dataset, further=further, aside=frozenset(boxes))


def _recognizes(names: Sequence[str]) -> bool:
    return any(_is_typical(name) for name in names)


def _is_typical(name: str) -> bool:
    """Return whether a path is Market's: in ``bounding_box_…``, or in ``query`` with a name of its kind."""
    folder = name.lower().split("/")[-2:-1]
    return folder in (["bounding_box_train"], ["bounding_box_test"]) or (
        folder == ["query"] and _sample(name) is not None
    )


DATASETS.register("market1501")(Reader(_read, _recognizes))
