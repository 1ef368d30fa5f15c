"""One folder a person: splits, numbers, cameras; and trees that are something else."""

from __future__ import annotations

import pytest

from passerby.data.registry import DATASETS, recognize
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

FOLDER = DATASETS["folder"]
UNSPLIT = ("ann/1.jpg", "bob/1.jpg", "bob/2.png")
SPLIT = ("train/7/a.jpg", "train/12/b.jpg", "query/3/c_c1.jpg", "gallery/3/d_c2.jpg", "gallery/-1/e_c2.jpg")


def test_without_splits_all_is_train(tree) -> None:
    dataset = recognize(tree(UNSPLIT))
    assert dataset.name == "folder"
    assert dataset.train == tuple(Sample(path, pid) for path, pid in zip(UNSPLIT, (0, 1, 1), strict=True))
    assert dataset.query == dataset.gallery == ()


def test_split_folders(tree) -> None:
    dataset = recognize(tree([f"people/{name}" for name in (*SPLIT, "notes.txt")]))
    assert [s.pid for s in dataset.train] == [12, 7]
    assert [(s.pid, s.camid) for s in dataset.query] == [(3, 1)]
    assert [(s.pid, s.role) for s in dataset.gallery] == [(-1, Role.JUNK), (3, Role.PERSON)]


def test_names_have_one_number_in_all_splits(directory) -> None:
    dataset = FOLDER.read(directory(["train/dan/1.jpg", "query/bob/1.jpg", "gallery/ann/1.jpg", "gallery/bob/2.jpg"]))
    assert [s.pid for s in dataset.train + dataset.query + dataset.gallery] == [2, 1, 0, 1]


def test_numbers_are_kept_only_if_all_are_numbers(directory) -> None:
    dataset = FOLDER.read(directory(["5/1.jpg", "7/1.jpg", "ann/1.jpg"]))
    assert [s.pid for s in dataset.train] == [0, 1, 2]


def test_junk_is_no_name(directory) -> None:
    dataset = FOLDER.read(directory(["gallery/-1/1.jpg", "gallery/ann/1.jpg", "gallery/bob/2.jpg"]))
    assert [(s.pid, s.role) for s in dataset.gallery] == [(-1, Role.JUNK), (0, Role.PERSON), (1, Role.PERSON)]


@pytest.mark.parametrize(
    ("name", "camid"),
    [
        ("c3.jpg", 3),
        ("C12_0004.JPG", 12),
        ("cam3.front.png", 3),
        ("walk-cam03.jpg", 3),
        ("camera_3_17.jpg", 3),
        ("0001_c3s1_000151_01.jpg", 3),
        ("0001_c2_f0046182.jpg", 2),
        ("abc3.jpg", None),
        ("c3po.jpg", None),
        ("0001.jpg", None),
        ("pic3.jpg", None),
    ],
)
def test_camera_from_the_name(directory, name: str, camid: int | None) -> None:
    dataset = FOLDER.read(directory([f"ann/{name}", "bob/c9.jpg"]))
    assert [s.camid for s in dataset.train] == [camid, 9]


def test_cameras_from_a_table(tree) -> None:
    table = "\ufeffpath,camid,place\nbob/1.jpg,2,door\nann/1_c9.jpg,1,\nbob/2.jpg,,\ngone.jpg,4,\n"
    dataset = FOLDER.read(tree({"p/cameras.csv": table, "p/ann/1_c9.jpg": "", "p/bob/1.jpg": "", "p/bob/2.jpg": ""}))
    assert [(s.path, s.camid) for s in dataset.train] == [
        ("p/ann/1_c9.jpg", 1),
        ("p/bob/1.jpg", 2),
        ("p/bob/2.jpg", None),
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,camid\nann/1.jpg,1\n", r"does not list bob/1\.jpg"),
        ("path,camid\nann/1.jpg,1\nbob/1.jpg,left\n", "line 3: camid 'left' is not a whole number"),
        ("path,camid\nann/1.jpg,1\nann/1.jpg,2\nbob/1.jpg,2\n", r"line 3: ann/1\.jpg has a second camera"),
        ("file,camid\nann/1.jpg,1\n", "has no column path"),
    ],
)
def test_a_table_not_in_order(directory, table: str, words: str) -> None:
    with pytest.raises(DatasetLayoutError, match=words):
        FOLDER.read(directory({"cameras.csv": table, "ann/1.jpg": "", "bob/1.jpg": ""}))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(["notes.txt"], "has no images", id="no image"),
        pytest.param(["1.jpg", "2.jpg"], r"'1\.jpg' is not in a person's folder", id="flat"),
        pytest.param(["query/1.jpg"], r"'query/1\.jpg' is not in a person's folder", id="a split without people"),
        pytest.param(["ann/1.jpg", "bob/home/1.jpg"], "different layouts", id="two depths"),
        pytest.param(["train/ann/1.jpg", "bob/1.jpg"], "different layouts", id="half split"),
        pytest.param(["train/ann/1.jpg", "test/bob/1.jpg"], "test/bob/1.jpg' .* different layouts", id="unknown split"),
        pytest.param(["1/a.jpg", "001/a.jpg"], "'001' and '1' are one person", id="one number twice"),
        pytest.param(["-1/a.jpg", "1/a.jpg"], "only a gallery may hold", id="junk outside the gallery"),
        pytest.param(["train/-1/a.jpg", "train/1/a.jpg"], "only a gallery may hold", id="junk to train on"),
    ],
)
def test_other_trees_are_errors(directory, names: list[str], words: str) -> None:
    with pytest.raises(DatasetLayoutError, match=words):
        FOLDER.read(directory(names))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((), id="nothing"),
        pytest.param(("photos/1.jpg", "photos/2.jpg"), id="one folder of photos"),
        pytest.param(("1.jpg", "ann/1.jpg", "bob/1.jpg"), id="a picture beside the folders"),
        pytest.param(("cam1/a.jpg", "cam2/b.jpg"), id="a folder a camera"),
        pytest.param(("M/bounding_box_train/1.jpg", "M/bounding_box_test/2.jpg"), id="Market-1501"),
    ],
)
def test_not_mistaken_for_people(names: tuple[str, ...]) -> None:
    assert not FOLDER.recognizes(names)


def test_one_person_is_read_when_asked_for(directory) -> None:
    assert [s.pid for s in FOLDER.read(directory(["ann/1.jpg", "ann/2.jpg"])).train] == [0, 0]


def test_a_table_beside_the_people_is_not_ignored_in_silence() -> None:
    people = ("ann/c1_1.png", "bob/c2_1.png")
    assert DATASETS["folder"].recognizes(people)
    assert DATASETS["folder"].recognizes((*people, "cameras.csv"))
    assert DATASETS["folder"].recognizes((*people, "attributes.csv"))
    assert not DATASETS["folder"].recognizes((*people, "labels.csv"))
    assert not DATASETS["folder"].recognizes((*people, "list_train.txt"))
