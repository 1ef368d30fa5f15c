"""CUHK01 (Li, Zhao and Wang, ACCV 2012): 971 people, two cameras, two images from each: 3,884 images in one folder.

Names are ``PPPPNNN.png``: person, then image. Images 1 and 2 are from camera 1, images 3 and 4 from camera 2.

There is no official split. Two are usual: 485 people to train on and 486 to test (``test=486``, the default), or 871
and 100 (``test=100``). Papers choose them at random and average over several choices. Here ``seed`` determines the
choice: people are ordered by the SHA-256 of the text ``SEED:PERSON`` (``0:17``), and the first 486 or 100 are the test.
So a split is the same on every machine and with every version of Python, and that of 100 is a part of that of 486.
Queries are the images of camera 1, the gallery those of camera 2.

``cuhk01:test=100,seed=3:/data/CUHK01``. The original zip (``campus/``), or a folder of its images at any depth.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from passerby.data.dataset import Dataset
from passerby.data.datasets.layout import preview
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image
from passerby.data.variants import one_of, variant_name, whole_number
from passerby.errors import DatasetLayoutError
from passerby.types import Sample

PEOPLE = 971
TESTS = (486, 100)
_NAME = re.compile(r"(\d{4})(\d{3})\.(png|jpe?g|bmp)", re.IGNORECASE)


def _sample(path: str) -> Sample | None:
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    if match is None or not 1 <= (number := int(match[2])) <= 4:
        return None
    return Sample(path, int(match[1]), 1 if number <= 2 else 2)


def choose_test_people(persons: Iterable[int], *, test: int, seed: int) -> set[int]:
    """Return the ``test`` people that ``seed`` determines, whatever the order of ``persons``."""
    ordered = sorted(persons, key=lambda pid: hashlib.sha256(f"{seed}:{pid}".encode()).digest())
    return set(ordered[:test])


def _read(source: Source, *, test: int = TESTS[0], seed: int = 0) -> Dataset:
    samples = _samples(source)
    persons = {s.pid for s in samples if s.pid is not None}
    if len(persons) <= test:
        raise DatasetLayoutError(
            f"{source.root} has {len(persons)} of CUHK01's {PEOPLE} people; a test of {test} leaves none to train on. "
            "Fix: test fewer"
        )
    tested = choose_test_people(persons, test=test, seed=seed)
    train = tuple(s for s in samples if s.pid not in tested)
    query, gallery = (tuple(s for s in samples if s.pid in tested and s.camid == camid) for camid in (1, 2))
    return Dataset(variant_name("cuhk01", {"test": test, "seed": seed}), source, train, query, gallery)


def _samples(source: Source) -> list[Sample]:
    found = {name: _sample(name) for name in source.names() if is_image(name)}
    if unknown := [name for name, sample in found.items() if sample is None]:
        raise DatasetLayoutError(
            f"{source.root}: {len(unknown):,} images are not named like CUHK01's: {preview(unknown)}; expected "
            "PPPPNNN.png, person and image (001 to 004). Fix: rename or remove them"
        )
    if not found:
        raise DatasetLayoutError(
            f"{source.root} has no images; CUHK01's are named PPPPNNN.png, person and image. "
            "Fix: give the folder of these"
        )
    if len(places := sorted({name.rpartition("/")[0] for name in found})) > 1:
        raise DatasetLayoutError(
            f"{source.root} has images in more than one folder: {preview(places)}. Fix: give the path of one"
        )
    return [sample for sample in found.values() if sample is not None]


def _recognizes(names: Sequence[str]) -> bool:
    """Return whether all images are named like CUHK01's; it is not enough that some are."""
    images = [name for name in names if is_image(name)]
    return (
        len({name.rpartition("/")[0] for name in images}) == 1
        and all(_sample(name) is not None for name in images)
        and len({name.rpartition("/")[2][:4] for name in images}) > min(TESTS)
    )


DATASETS.register("cuhk01")(Reader(_read, _recognizes, settings={"test": one_of(*TESTS), "seed": whole_number}))
