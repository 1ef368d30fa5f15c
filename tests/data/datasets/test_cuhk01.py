"""CUHK01: names, cameras, and splits that a seed draws the same way everywhere."""

from __future__ import annotations

import hashlib

import pytest

from passerby.data.dataset import people
from passerby.data.datasets.cuhk01 import choose_test_people
from passerby.data.registry import DATASETS, load, recognize
from passerby.errors import ConfigError, DatasetLayoutError

PEOPLE = range(1, 106)
SOUND = tuple(f"campus/{pid:04d}{number:03d}.png" for pid in PEOPLE for number in range(1, 5))


def test_four_images_by_two_cameras(tree) -> None:
    source = tree(SOUND)
    dataset = load(f"cuhk01:test=100:{source.root}")
    assert dataset.name == "cuhk01:test=100,seed=0"
    assert {(s.path[-5], s.camid) for s in dataset.train} == {("1", 1), ("2", 1), ("3", 2), ("4", 2)}
    assert {s.pid for s in dataset.train} == {int(s.path[7:11]) for s in dataset.train}
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (20, 200, 200)
    assert {s.camid for s in dataset.query} == {1}
    assert {s.camid for s in dataset.gallery} == {2}
    assert people(dataset.query) == people(dataset.gallery)
    assert sorted(people(dataset.train) + people(dataset.query)) == list(PEOPLE)


def test_the_draw_is_that_of_the_docstring() -> None:
    def place(pid: int) -> str:
        return hashlib.sha256(f"7:{pid}".encode()).hexdigest()

    assert choose_test_people(range(1, 972), test=486, seed=7) == set(sorted(range(1, 972), key=place)[:486])
    assert sorted(choose_test_people(range(1, 972), test=100, seed=0))[:5] == [15, 36, 44, 46, 76]
    assert choose_test_people(range(971, 0, -1), test=100, seed=7) < choose_test_people(range(1, 972), test=486, seed=7)


def test_seeds_differ(directory) -> None:
    root = directory(SOUND).root
    assert load("cuhk01", root, test=100, seed=1).query != load("cuhk01", root, test=100, seed=2).query
    assert load("cuhk01", root, test=100, seed=1).query == load(f"cuhk01:seed=1,test=100:{root}").query


def test_it_is_recognised_by_its_names(directory) -> None:
    source = directory(SOUND)
    assert DATASETS["cuhk01"].recognizes(source.names())
    assert not DATASETS["cuhk01"].recognizes([*source.names(), "campus/holiday.png"])
    assert not DATASETS["cuhk01"].recognizes(SOUND[:40]), "a few images named by seven digits may be of any dataset"
    assert not DATASETS["cuhk01"].recognizes([f"{name[:11]}/{name[7:]}" for name in SOUND]), "one folder a person"
    with pytest.raises(DatasetLayoutError, match=r"has 105 of CUHK01's 971 people; a test of 486 leaves none"):
        recognize(source)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((*SOUND, "campus/0001005.png"), r"1 images are not named like CUHK01's: campus/0001005\.png"),
        ((*SOUND, "campus/1.png"), r"campus/1\.png; expected PPPPNNN\.png"),
        ((*SOUND, "copy/0001001.png"), "in more than one folder: campus, copy"),
        (("readme.txt",), "has no images"),
    ],
)
def test_other_trees_are_errors(directory, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DatasetLayoutError, match=words):
        DATASETS["cuhk01"].read(directory(names), test=100)


def test_settings_that_cannot_be(directory) -> None:
    root = directory(SOUND).root
    with pytest.raises(ConfigError, match="test of cuhk01 cannot be '50'; it is one of 486, 100"):
        load(f"cuhk01:test=50:{root}")
    with pytest.raises(ConfigError, match="seed of cuhk01 cannot be -1; it is a whole number from 0"):
        load("cuhk01", root, seed=-1)


def test_the_published_counts(real) -> None:
    dataset = load(f"cuhk01:{real('CUHK01')}")
    assert dataset.summary() == (
        "train 1,940 images of 485 people, query 972 images of 486 people, gallery 972 images of 486 people"
    )
    few = load(f"cuhk01:test=100:{real('CUHK01')}")
    assert (len(people(few.train)), len(people(few.query))) == (871, 100)
