"""One folder per person: ``ROOT/[train|query|gallery/]PERSON/IMAGE``, with ROOT at any depth.

Split folders, in upper or lower case, are the splits; without them every image is in ``train``, as there are no chosen
queries, and a search takes all images of a dataset that has no gallery.

Folders that are named like a split, a camera or a date are not mistaken for people
(:mod:`~passerby.data.datasets.folder_names`); ``folder:PATH`` reads them as people all the same.

Folders that are numbers are the person IDs; otherwise the person ID is the index of the folder's name in the sorted
names of the whole source, so that the splits agree. ``gallery/-1`` holds junk.

Camera IDs come from ``ROOT/cameras.csv`` (columns path, camid; an empty camid is an unknown camera), or else from the
file names: ``c3``, ``cam3``, ``camera_3``, or Market's ``0001_c3s1_000151_01``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from passerby.data.dataset import SPLITS, Dataset
from passerby.data.datasets.csv import camera, read_table
from passerby.data.datasets.folder_names import SPLIT, kind_of, named_kinds, no_people, several_people
from passerby.data.datasets.layout import FileNames, preview
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

CAMERAS = "cameras.csv"
JUNK = "-1"
_ARRANGE = (
    "Fix: arrange the images as [train|query|gallery/]PERSON/IMAGE, one folder per person, or list them in a "
    "dataset.csv (docs/data.md)"
)
_CAMERA = re.compile(r"(?<![a-z0-9])c(?:am(?:era)?)?[_-]?(\d+)(?:s\d+)?(?![a-z0-9])", re.IGNORECASE)
_TABLES = {CAMERAS, "attributes.csv"}
_LIST = re.compile(r"list_(train|val|query|gallery)\.txt")
_MARKET = {"bounding_box_train", "bounding_box_test"}


class _Place(NamedTuple):
    """The parts of an image's path."""

    path: str
    root: str
    split: str | None
    person: str


def _place(path: str) -> _Place | None:
    """Split a path from its end upwards; ``None`` if no folder can be a person's."""
    parts = path.split("/")
    if len(parts) < 2 or parts[-2].lower() in SPLITS:
        return None
    split = parts[-3].lower() if len(parts) > 2 and parts[-3].lower() in SPLITS else None
    person = unicodedata.normalize("NFC", parts[-2])  # macOS and Linux write the same é in two ways
    return _Place(path, "/".join(parts[: -3 if split else -2]), split, person)


def _read(source: Source) -> Dataset:
    places = _places(source)
    pids = _pids(source, {p.person for p in places})
    cameras = _cameras(source, places)
    splits: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    for place in places:
        role = Role.JUNK if place.person == JUNK else Role.PERSON
        splits[place.split or "train"].append(Sample(place.path, pids[place.person], cameras[place.path], role))
    return Dataset("folder", source, *(tuple(splits[split]) for split in SPLITS))


def _places(source: Source) -> list[_Place]:
    images = [name for name in source.names() if is_image(name)]
    if not images:
        raise DatasetLayoutError(f"{source.root} has no images. {_ARRANGE}")
    places = [_place(name) for name in images]
    for name, place in zip(images, places, strict=True):
        if place is None:
            raise DatasetLayoutError(f"{source.root}: {name!r} is not in a person's folder. {_ARRANGE}")
    found = [p for p in places if p is not None]
    _check_one_layout(source, found)
    return found


def _check_one_layout(source: Source, places: Sequence[_Place]) -> None:
    first = places[0]
    for place in places:
        if place.root != first.root or (place.split is None) != (first.split is None):
            raise DatasetLayoutError(
                f"{source.root}: {first.path!r} and {place.path!r} lie in different layouts. {_ARRANGE}, "
                "with split folders for all images or for none"
            )
        if place.person == JUNK and place.split != "gallery":
            raise DatasetLayoutError(
                f"{source.root}: {place.path!r} is junk ({JUNK}), which only a gallery may hold. Fix: move it"
            )


def _pids(source: Source, persons: Iterable[str]) -> dict[str, int]:
    names = sorted(persons)
    if not all(name == JUNK or (name.isascii() and name.isdigit()) for name in names):
        others = [name for name in names if name != JUNK]
        return {name: index for index, name in enumerate(others)} | {JUNK: -1}
    folders: dict[int, str] = {}
    for name in names:
        if (other := folders.setdefault(int(name), name)) != name:
            raise DatasetLayoutError(f"{source.root}: folders {other!r} and {name!r} are one person. Fix: rename one")
    return {name: pid for pid, name in folders.items()}


def _cameras(source: Source, places: Sequence[_Place]) -> dict[str, int | None]:
    """Return the camera ID of each image, by path."""
    root = f"{places[0].root}/" if places[0].root else ""
    if root + CAMERAS in source.names():
        return _cameras_listed(source, root, [p.path for p in places])
    return {p.path: _camera_in(p.path.rsplit("/", 1)[-1]) for p in places}


def _camera_in(name: str) -> int | None:
    match = _CAMERA.search(name.split(".", 1)[0])
    return int(match[1]) if match else None


def _cameras_listed(source: Source, root: str, paths: Sequence[str]) -> dict[str, int | None]:
    where = f"{source.root}: {root}{CAMERAS}"
    listed: dict[str, int | None] = {}
    names = FileNames(paths)
    for line, row in read_table(source, root + CAMERAS, ("path", "camid")):
        path = names.find(root + row["path"]) or root + row["path"]
        try:
            if listed.setdefault(path, camera(row)) != camera(row):
                raise ValueError(f"{row['path']} has a second camera")
        except ValueError as error:
            raise DatasetLayoutError(f"{where}, line {line}: {error}; expected path,camid. Fix: correct it") from None
    if unlisted := [path for path in paths if path not in listed]:
        raise DatasetLayoutError(
            f"{where} does not list {preview(unlisted)}. Fix: list every image, with an empty camid if it is unknown"
        )
    return listed


def _is_unread_table(name: str) -> bool:
    """Return whether a file may hold the labels, or is a list of MSMT17; ``folder:PATH`` means the folders anyway."""
    base = name.rsplit("/", 1)[-1]
    return (name.endswith(".csv") and base not in _TABLES) or _LIST.fullmatch(base) is not None


def _recognizes(names: Sequence[str]) -> bool:
    """Return whether there are two people or more in one layout; not Market's, and nothing but people, without a table.

    Folders that are something else than people make it another layout, which :func:`_explain` names.
    """
    found = _one_layout(names)
    return (
        len({p.person for p in found}) > 1
        and not any(_MARKET & set(p.path.lower().split("/")) for p in found)
        and not any(_is_unread_table(name) for name in names)
        and _doubt(found) is None
    )


def _one_layout(names: Sequence[str]) -> list[_Place]:
    """Return the places of all images if they are in one layout, else none."""
    places = [_place(name) for name in names if is_image(name)]
    found = [p for p in places if p is not None]
    return found if len(found) == len(places) and len({(p.root, p.split is None) for p in found}) == 1 else []


def _doubt(places: Sequence[_Place]) -> str | None:
    """Return which folders are no people, and why; ``None`` if all may be."""
    if doubt := no_people({p.person for p in places} - {JUNK}):
        return doubt
    above = places[0].root.rpartition("/")[2]
    if places[0].split is None and (kind := kind_of(above)) and kind.what == SPLIT:
        return named_kinds([above])
    folder = several_people(p.path for p in places)
    return None if folder is None else f"{folder!r} (its images are named as of several people)"


def _explain(names: Sequence[str]) -> str | None:
    """Return why images in folders are not read as people: which of the folders are something else."""
    if found := _one_layout(names):
        return (doubt := _doubt(found)) and f"{doubt}. {_ARRANGE}; if each is one person all the same, say folder:PATH"
    folders = {part for name in names if is_image(name) for part in name.split("/")[:-1]}
    if sure := [folder for folder in folders if (kind := kind_of(folder)) and kind.sure]:
        return f"{named_kinds(sure)}. {_ARRANGE}"
    around = sorted({place.root for name in names if is_image(name) and (place := _place(name))})
    return f"those in {preview(map(repr, around))} (they lie in different folders). {_ARRANGE}" if around[1:] else None


DATASETS.register("folder")(Reader(_read, _recognizes, explain=_explain))
