"""MSMT17: lists beside folders, in both versions; two people who are called 0; and lists that are not in order."""

from __future__ import annotations

import pytest

from passerby.data.dataset import people
from passerby.data.registry import DATASETS, load, recognize
from passerby.errors import DatasetLayoutError
from passerby.types import Role

READ = DATASETS["msmt17"].read
LISTS = {
    "list_train.txt": ["0000/0000_000_01_0303morning_0008_0.jpg 0", "0001/0001_000_15_0113afternoon_0100_2_ex.jpg 1"],
    "list_val.txt": ["0000/0000_001_01_0303morning_0004_1.jpg 0"],
    "list_query.txt": ["0000/0000_000_02_0302noon_0001_0.jpg 0"],
    "list_gallery.txt": ["0000/0000_001_03_0302noon_0009_0.jpg 0", "0007/0007_000_03_0302noon_0010_0.jpg 7"],
}
HALVES = {"list_train.txt": 0, "list_val.txt": 0, "list_query.txt": 1, "list_gallery.txt": 1}


def files(root: str = "", folders: tuple[str, str] = ("train", "test"), lists=LISTS) -> dict[str, str]:
    tree = {root + name: "\n".join(lines) + "\n" for name, lines in lists.items()}
    for name, lines in LISTS.items():
        tree |= {f"{root}{folders[HALVES[name]]}/{line.split()[0]}": "" for line in lines}
    return tree


@pytest.mark.parametrize(
    ("version", "folders"), [("V1", ("train", "test")), ("V2", ("mask_train_v2", "mask_test_v2"))], ids=["V1", "V2"]
)
@pytest.mark.parametrize("root", ["", "MSMT17/"])
def test_both_versions(tree, root: str, version: str, folders: tuple[str, str]) -> None:
    dataset = recognize(tree(files(root, folders)))
    assert dataset.name == f"msmt17 {version}"
    assert [s.path.removeprefix(root).split("/")[0] for s in dataset.train + dataset.query] == [folders[0]] * 3 + [
        folders[1]
    ]
    assert [(s.pid, s.camid) for s in dataset.train] == [(0, 1), (0, 1), (1, 15)]
    assert [(s.pid, s.camid) for s in dataset.query] == [(1041, 2)]
    assert [(s.pid, s.camid) for s in dataset.gallery] == [(1041, 3), (1048, 3)]


def test_person_0_is_a_person_and_not_the_same_in_train_and_test(directory) -> None:
    dataset = READ(directory(files()))
    assert {s.role for s in dataset.train + dataset.query + dataset.gallery} == {Role.PERSON}
    assert not set(people(dataset.train)) & set(people(dataset.gallery))


def test_time_orders_the_images_of_a_camera(directory) -> None:
    lines = [f"0000/0000_000_01_{name}_0.jpg 0" for name in ("0113noon_0009", "0113noon_0010", "0113afternoon_0001")]
    lines += [f"0000/0000_000_01_{name}_0.jpg 0" for name in ("0114morning_0001", "0302morning_0001")]
    tree = {"list_train.txt": "\n".join(lines), "list_val.txt": ""} | {f"train/{line.split()[0]}": "" for line in lines}
    times = {s.path: s.time for s in READ(directory(tree)).train}
    ordered = [times[f"train/{line.split()[0]}"] for line in lines]
    assert ordered == sorted(set(ordered))


@pytest.mark.parametrize("kept", [("list_train.txt", "list_val.txt"), ("list_query.txt", "list_gallery.txt")])
def test_one_half_may_be_missing(directory, kept: tuple[str, str]) -> None:
    tree = {name: text for name, text in files().items() if not name.startswith("list") or name in kept}
    dataset = recognize(directory(tree))
    assert dataset.name == "msmt17 V1"
    assert bool(dataset.train) == (kept[0] == "list_train.txt")
    assert bool(dataset.query) == bool(dataset.gallery) == (kept[0] == "list_query.txt")


def test_half_a_copy_is_not_taken_for_one_folder_a_person(directory) -> None:
    tree = {name: text for name, text in files().items() if name.startswith(("train", "list_train", "list_val"))}
    assert recognize(directory(tree)).name == "msmt17 V1"


@pytest.mark.parametrize("missing", list(LISTS))
def test_half_a_half_is_an_error(directory, missing: str) -> None:
    tree = files()
    del tree[missing]
    with pytest.raises(DatasetLayoutError, match=f"has no {missing}, which belongs to list_"):
        READ(directory(tree))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0000/0000_000_01_0303morning_0008_0.jpg", "is not FOLDER/PPPP_NNN"),
        ("0000/0000_000_01_0303morning_0008_0.jpg zero", "is not FOLDER/PPPP_NNN"),
        ("0000/0000_000_01_0303night_0008_0.jpg 0", "is not FOLDER/PPPP_NNN"),
        ("0000/0000_000_01_0303morning_0008_0.jpg 5", "is named as person 0000 and listed as person 5"),
        ("0000/0000_009_01_0303morning_0008_0.jpg 0", r"there is no file train/0000/0000_009"),
        ("0001/0001_000_15_0113afternoon_0100_2_ex.jpg 1", "is listed twice"),
    ],
)
def test_a_list_not_in_order(directory, line: str, words: str) -> None:
    lists = LISTS | {"list_train.txt": [*LISTS["list_train.txt"][1:], "", line]}
    with pytest.raises(DatasetLayoutError, match=rf"list_train\.txt has 1 invalid lines: line 3: .*{words}"):
        READ(directory(files(lists=lists)))


def test_no_lists_two_copies_both_versions_and_no_images(directory) -> None:
    tree = directory({**files("a/"), **files("b/"), **files("c/", ("mask_train_v2", "mask_test_v2"))}).root
    with pytest.raises(DatasetLayoutError, match="more than one copy of the lists: a/list_gallery"):
        load(f"msmt17:{tree}")
    with pytest.raises(DatasetLayoutError, match="none of the lists"):
        load(f"msmt17:{tree}/a/train")
    (tree / "a/train").rename(tree / "c/train")
    with pytest.raises(DatasetLayoutError, match="has both versions beside the lists"):
        load(f"msmt17:{tree}/c")
    (tree / "b/train").rename(tree / "b/pictures")
    (tree / "b/test").rename(tree / "b/more")
    with pytest.raises(DatasetLayoutError, match="no images beside the lists of its top"):
        load(f"msmt17:{tree}/b")


@pytest.mark.parametrize("name", ["MSMT17_V1", "MSMT17_V2"])
def test_the_published_counts(real, name: str) -> None:
    assert load(f"msmt17:{real(name)}").summary() == (
        "train 32,621 images of 1,041 people, query 11,659 images of 3,060 people, "
        "gallery 82,161 images of 3,060 people"
    )
