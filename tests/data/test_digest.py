"""A dataset is told by what it holds, not by where or how."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passerby.data.dataset import Dataset
from passerby.data.digest import dataset_digest
from passerby.data.registry import load
from passerby.synthetic.dataset import PedestrianSource
from passerby.types import Role


@pytest.fixture(scope="module")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("digest") / "people", people=4, cameras=2, images=2)


def everything(dataset: Dataset) -> str:
    return dataset_digest(dataset, "train", "query", "gallery")


def test_moved_packed_and_accompanied_it_is_the_same(people: Path, tmp_path: Path) -> None:
    known = everything(load(people))
    copy = shutil.copytree(people, tmp_path / "elsewhere")
    (copy / "query" / "notes.txt").write_text("nothing of the data set's")
    assert everything(load(copy)) == known
    for kind in ("zip", "gztar"):
        packed = shutil.make_archive(str(tmp_path / "packed"), kind, people.parent, people.name)
        assert everything(load(packed)) == known


def test_one_byte_of_an_image_is_another_of_its_split(people: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(people, tmp_path / "copy")
    was = load(copy)
    known = [dataset_digest(was, split) for split in ("train", "query", "gallery")]
    image = min((copy / "query").glob("*.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    now = load(copy)
    same = [
        dataset_digest(now, split) == digest for split, digest in zip(("train", "query", "gallery"), known, strict=True)
    ]
    assert same == [True, False, True]


@pytest.mark.parametrize("change", [{"pid": 7}, {"camid": 9}, {"role": Role.JUNK}])
def test_what_is_known_of_an_image_belongs_to_it(people: Path, change: dict[str, Any]) -> None:
    dataset = load(people)
    first, *others = dataset.query
    assert everything(replace(dataset, query=(replace(first, **change), *others))) != everything(dataset)


def test_order_split_and_protocol_belong_to_it(people: Path) -> None:
    dataset = load(people)
    others = (
        replace(dataset, train=dataset.train[::-1]),
        replace(dataset, query=dataset.gallery, gallery=dataset.query),
        replace(dataset, single_shot=True),
    )
    assert len({everything(d) for d in (dataset, *others)}) == 4


def test_generated_images_are_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> bytes:
        raise AssertionError("nothing should be rendered")

    monkeypatch.setattr(PedestrianSource, "read", read)
    known = everything(load("pedestrians:people=8,cameras=2,images=2"))
    assert everything(load("pedestrians:images=2,cameras=2,people=8")) == known
    assert everything(load("pedestrians:people=8,cameras=2,images=2,seed=1")) != known
