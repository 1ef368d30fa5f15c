"""The splits of CUHK03: the new protocol's files, and the twenty splits of the old one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from passerby.data.datasets.cuhk03_release.names import Boxes, Person, find_file, person_of
from passerby.data.datasets.cuhk03_release.release import FILE, ReleaseSource, release_in
from passerby.data.datasets.matlab import read_mat
from passerby.data.source import DirectorySource, Source
from passerby.errors import DatasetLayoutError


class Parts(NamedTuple):
    """The names of images in each split, without folders."""

    train: frozenset[str]
    query: frozenset[str]
    gallery: frozenset[str]


def new_split(source: Source, boxes: Boxes) -> Parts:
    """Return the split of the new protocol.

    Raises:
        DatasetLayoutError: if its file is missing or has other content.
    """
    place, name = _config(source, f"cuhk03_new_protocol_config_{boxes}.mat")
    config = read_mat(place, name)
    try:
        files = [str(file) for file in config["filelist"]]
        return Parts(*(_counted(files, config[f"{part}_idx"]) for part in Parts._fields))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{place.root}: {name} is not the new protocol's ({error!r}); expected filelist, train_idx, query_idx and "
            "gallery_idx. Fix: fetch it again"
        ) from None


def old_split(source: Source, boxes: Boxes, number: int, names: Collection[str]) -> Parts:
    """Return split ``number`` of the old protocol, of all images ``names``.

    Raises:
        DatasetLayoutError: if no file lists its people, or some of them have no images.
    """
    tests = _testsets(source, boxes)
    if number >= len(tests):
        raise DatasetLayoutError(
            f"{source.root} has {len(tests)} splits of the old protocol, got split={number}. "
            f"Fix: give one of 1 to {len(tests)}"
        )
    test = frozenset(name for name in names if person_of(name) in tests[number])
    if absent := sorted(tests[number] - {person_of(name) for name in test}):
        pair, person = absent[0]
        raise DatasetLayoutError(
            f"{source.root} has no images of {len(absent)} people of split {number}, such as person {person} of pair "
            f"{pair}. Fix: unpack {FILE} again"
        )
    return Parts(frozenset(names) - test, test, test)


def _counted(files: Sequence[str], indices: Iterable[int]) -> frozenset[str]:
    """Return the files at MATLAB's indices, which count from 1."""
    places = [int(index) - 1 for index in indices]
    if any(place < 0 for place in places):
        raise IndexError("an index below 1")
    return frozenset(files[place] for place in places)


def _config(source: Source, wanted: str) -> tuple[Source, str]:
    if isinstance(source, ReleaseSource):
        parent = source.root.absolute().parent
        folders = [folder for folder in (parent, parent.parent) if (folder / wanted).is_file()]
        if folders:
            return DirectorySource(folders[0]), wanted
    elif found := find_file(source, source.names(), wanted):
        return source, found
    where = "beside it or one folder up" if isinstance(source, ReleaseSource) else "anywhere in it"
    raise DatasetLayoutError(
        f"{source.root} comes without {wanted}, which lists the people of the new protocol (Zhong et al. publish it "
        f"with the code of their re-ranking). Fix: put it {where}, or set protocol=old"
    )


def _testsets(source: Source, boxes: Boxes) -> Sequence[frozenset[Person]]:
    """Return the people of each test, from torchreid's file if there is one, and else from the original."""
    wanted = f"splits_classic_{boxes}.json"
    name = None if isinstance(source, ReleaseSource) else find_file(source, source.names(), wanted)
    if name is None:
        if release := release_in(source):
            return release.testsets
        raise DatasetLayoutError(
            f"{source.root} has neither {FILE} nor {wanted}, which list the people of the old protocol's splits. "
            "Fix: put one of them there"
        )
    try:
        return [_listed(split["query"]) for split in json.loads(source.read(name))]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {name} is not as torchreid writes it ({error!r}). Fix: let torchreid write it again, or "
            f"delete it and put {FILE} there"
        ) from None


def _listed(entries: Iterable[Sequence[Any]]) -> frozenset[Person]:
    """Return the people of torchreid's entries: each is a path on its machine, a person ID and a camera ID."""
    return frozenset(person_of(re.split(r"[/\\]", str(entry[0]))[-1]) for entry in entries)
