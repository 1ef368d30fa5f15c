"""MSMT17 (Wei et al., CVPR 2018): four lists beside the folders of the images, one folder per person.

    list_train.txt list_val.txt      lines such as 0000/0000_000_01_0303morning_0008_0.jpg 0
    list_query.txt list_gallery.txt
    train/ test/                     version 1
    mask_train_v2/ mask_test_v2/     version 2: the same images with faces masked

Names are person, image, camera (1–15), month and day, part of the day, frame. Wei et al. count 32,621 images of 1,041
people to train on, 11,659 queries and 82,161 images in the gallery of 3,060 people: 126,441 of 4,101 in all. Training
is ``list_train`` and ``list_val`` (30,248 and 2,373 images of the same people).

Person 0 is a real person, and there are two: train and test both count from 0. Here the people of the test follow those
of the training, so that a person ID is one person: person k of the test lists is 1,041 + k.

*Deviations*: the lists' folder may lie at any depth. Without the lists of one half that half is empty; a list without
its companion is an error, and so are lists with both versions beside them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from passerby.data.dataset import Dataset
from passerby.data.datasets.layout import preview
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.types import Sample

TRAIN_PEOPLE = 1041
FOLDERS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}
HALVES = (("list_train.txt", "list_val.txt"), ("list_query.txt", "list_gallery.txt"))
LISTS = HALVES[0] + HALVES[1]
_PERIODS = ("morning", "noon", "afternoon")
_NAME = re.compile(rf"(\d+)_\d+_(\d+)_(\d\d)(\d\d)({'|'.join(_PERIODS)})_(\d+)_\w+\.(?:jpe?g|png)", re.IGNORECASE)
_WANTED = "FOLDER/PPPP_NNN_CC_MMDDmorning_FFFF_N.jpg and, after a space, the person's number"


def _sample(folder: str, line: str, offset: int) -> Sample | str:
    """Return the sample of a list's line, or what is wrong with it."""
    path, _, label = line.rpartition(" ")
    match = _NAME.fullmatch(posixpath.basename(path))
    if match is None or not label.isdigit():
        return f"{line!r} is not {_WANTED}"
    if int(match[1]) != int(label):
        return f"{path} is named as person {match[1]} and listed as person {label}"
    return Sample(posixpath.join(folder, path), offset + int(label), int(match[2]), time=_time(*match.groups()[2:]))


def _time(month: str, day: str, period: str, frame: str) -> int:
    """Return a count over all days and their parts; frames count within one part."""
    part = (int(month) * 31 + int(day)) * len(_PERIODS) + _PERIODS.index(period.lower())
    return part * 1_000_000 + int(frame)


def _read(source: Source) -> Dataset:
    names = frozenset(source.names())
    root, present = _lists(source, names)
    version = _version(source, root, names)
    found: dict[str, tuple[Sample, ...]] = dict.fromkeys(LISTS, ())
    for half, folder, offset in zip(HALVES, FOLDERS[version], (0, TRAIN_PEOPLE), strict=True):
        for name in half:
            if name in present:
                path = posixpath.join(root, folder)
                found[name] = _listed(source, posixpath.join(root, name), path, offset, names)
    train, query, gallery = found[LISTS[0]] + found[LISTS[1]], found[LISTS[2]], found[LISTS[3]]
    return Dataset(
        f"msmt17 {version}", source, *(tuple(sorted(s, key=lambda s: s.path)) for s in (train, query, gallery))
    )


def _lists(source: Source, names: frozenset[str]) -> tuple[str, set[str]]:
    """Return the folder of the lists, and which of them it has."""
    places = sorted(name for name in names if posixpath.basename(name) in LISTS)
    roots = {posixpath.dirname(place) for place in places}
    if len(roots) != 1:
        what = (
            f"more than one copy of the lists: {preview(places)}; give the path of one"
            if roots
            else "none of the lists"
        )
        raise DatasetLayoutError(
            f"{source.root} has {what}; MSMT17 has {', '.join(LISTS)} beside the folders of images. Fix: fetch them"
        )
    present = {posixpath.basename(place) for place in places}
    for half in HALVES:
        if len(missing := set(half) - present) == 1:
            raise DatasetLayoutError(
                f"{source.root} has no {missing.pop()}, which belongs to {', '.join(present & set(half))}. Fix: fetch "
                "it, or remove both"
            )
    return roots.pop(), present


def _version(source: Source, root: str, names: frozenset[str]) -> str:
    def has(folder: str) -> bool:
        start = posixpath.join(root, folder, "")
        return any(name.startswith(start) for name in names)

    found = [version for version, folders in FOLDERS.items() if any(map(has, folders))]
    if len(found) != 1:
        what = "both versions" if found else "no images"
        raise DatasetLayoutError(
            f"{source.root} has {what} beside the lists of {root or 'its top'}; expected train and test (version 1) or "
            "mask_train_v2 and mask_test_v2 (version 2). Fix: fetch them, or keep one version"
        )
    return found[0]


def _listed(source: Source, place: str, folder: str, offset: int, names: frozenset[str]) -> tuple[Sample, ...]:
    """Return the samples of one list."""
    samples: dict[str, Sample] = {}
    problems = []
    for number, line in _lines(source, place):
        sample = _sample(folder, line, offset)
        if isinstance(sample, str):
            problems.append(f"line {number}: {sample}")
        elif sample.path not in names:
            problems.append(f"line {number}: there is no file {sample.path}")
        elif samples.setdefault(sample.path, sample) is not sample:
            problems.append(f"line {number}: {sample.path} is listed twice")
    if problems:
        raise DatasetLayoutError(
            f"{source.root}: {place} has {len(problems):,} invalid lines: {'; '.join(problems[:3])}. "
            "Fix: fetch it again"
        )
    return tuple(samples.values())


def _lines(source: Source, place: str) -> Iterator[tuple[int, str]]:
    try:
        lines = source.read(place).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetLayoutError(f"{source.root}: {place} is not UTF-8 text ({error}). Fix: fetch it again") from None
    yield from ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())


def _recognizes(names: Sequence[str]) -> bool:
    return any(posixpath.basename(name) in LISTS for name in names)


DATASETS.register("msmt17")(Reader(_read, _recognizes))
