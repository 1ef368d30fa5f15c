"""Market-1501: the names, the codes, and the quirks of the copies that people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.dataset import people
from passerby.data.registry import DATASETS, load, recognize
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

READ = DATASETS["market1501"].read
TRAIN, QUERY, TEST = "bounding_box_train", "query", "bounding_box_test"
SOUND = (
    f"{TRAIN}/0002_c1s1_000451_03.jpg",
    f"{TRAIN}/0002_c2s1_000301_01.jpg",
    f"{QUERY}/0001_c1s1_001051_00.jpg",
    f"{TEST}/-1_c1s1_000401_03.jpg",
    f"{TEST}/0000_c3s2_000051_01.jpg",
    f"{TEST}/0001_c6s4_002461_02.jpg",
)


def test_splits_codes_cameras_and_frames(tree) -> None:
    dataset = READ(tree(SOUND))
    assert [(s.pid, s.camid, s.time) for s in dataset.train] == [(2, 1, 451), (2, 2, 301)]
    assert dataset.query == (Sample(SOUND[2], 1, 1, Role.PERSON, 1051),)
    assert [(s.pid, s.camid, s.role) for s in dataset.gallery] == [
        (-1, 1, Role.JUNK),
        (0, 3, Role.DISTRACTOR),
        (1, 6, Role.PERSON),
    ]
    assert people(dataset.gallery) == [1]


@pytest.mark.parametrize("above", ["Market-1501-v15.09.15/", "a/b/Market/", "query/", "bounding_box_train/copy/"])
def test_any_depth(tree, above: str) -> None:
    source = tree([above + name for name in SOUND])
    dataset = recognize(source)
    assert dataset.name == "market1501"
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (2, 1, 3)


def test_folders_below_a_split(directory) -> None:
    assert len(READ(directory([f"{TRAIN}/part1/0002_c1s1_000451_03.jpg", *SOUND])).train) == 3


def test_quirks_of_real_copies(tree) -> None:
    strays = [
        f"{QUERY}/Thumbs.db",
        f"{TEST}/.hidden_c1.jpg",
        "readme.txt",
        "gt_bbox/0001.jpg",
        f"__MACOSX/{QUERY}/._0.jpg",
    ]
    quirky = [
        f"{QUERY}/1488_c1s1_000001_01.jpg.jpg",
        f"{QUERY}/1489_c1s1_000001_01.JPG",
        f"{QUERY}/1490_C2S1_000001_01.PNG",
    ]
    dataset = READ(tree([*SOUND, *strays, *quirky]))
    assert [(s.pid, s.camid) for s in dataset.query] == [(1, 1), (1488, 1), (1489, 1), (1490, 2)]
    assert len(dataset.gallery) == 3


def test_order_is_that_of_the_names(directory) -> None:
    dataset = READ(directory(SOUND[::-1]))
    assert [s.path for s in dataset.train + dataset.query + dataset.gallery] == list(SOUND)


@pytest.mark.parametrize(("kept", "lost"), [(TRAIN, "query"), (TEST, "train"), (QUERY, "gallery")])
def test_a_missing_folder_is_an_empty_split(directory, kept: str, lost: str) -> None:
    dataset = recognize(directory([name for name in SOUND if name.startswith(kept)]))
    assert dataset.name == "market1501"
    with pytest.raises(DatasetLayoutError, match=f"no {lost} images; it has"):
        dataset.split(lost)


def test_none_of_the_folders(directory) -> None:
    with pytest.raises(DatasetLayoutError, match="no images in any of bounding_box_train"):
        READ(directory(["photos/0001_c1s1_000001_00.jpg"]))


@pytest.mark.parametrize(
    "name",
    [
        "holiday.jpg",
        "0001_c1_000001_00.jpg",
        "-2_c1s1_000001_00.jpg",
        "0001_cs1_000001_00.jpg",
        "x0001_c1s1_000001_00.jpg",
        "0001_c1s1_000001_00.jpg.gif.jpg",
    ],
)
def test_an_image_with_another_name_is_an_error(directory, name: str) -> None:
    with pytest.raises(DatasetLayoutError, match="1 images are not named") as caught:
        READ(directory([*SOUND, f"{TRAIN}/{name}"]))
    assert name in str(caught.value)
    assert "PPPP_cCsS_FFFFFF_NN.jpg" in str(caught.value)


@pytest.mark.parametrize("folder", [TRAIN, QUERY])
@pytest.mark.parametrize("code", ["-1", "0000"])
def test_junk_and_distractors_belong_in_the_gallery(directory, folder: str, code: str) -> None:
    with pytest.raises(DatasetLayoutError, match=f"{folder}/{code}_c1s1"):
        READ(directory([*SOUND, f"{folder}/{code}_c1s1_000001_00.jpg"]))


def test_two_copies_are_errors_by_name(directory) -> None:
    with pytest.raises(DatasetLayoutError, match="new/bounding_box_train, old/bounding_box_train"):
        READ(directory([f"{copy}/{name}" for copy in ("old", "new") for name in SOUND]))


def test_the_real_thing(shared: Path) -> None:
    dataset = load(str(shared / "data" / "Market-1501-v15.09.15.zip"))
    assert dataset.name == "market1501"
    assert dataset.summary() == (
        "train 12,936 images of 751 people, query 3,368 images of 750 people, gallery 19,732 images of 750 people"
    )
    roles = [s.role for s in dataset.gallery]
    assert [roles.count(role) for role in Role] == [13_115, 3_819, 2_798]
    assert {s.camid for s in dataset.train + dataset.query + dataset.gallery} == set(range(1, 7))
    assert sum(s.path.endswith(".jpg.jpg") for s in dataset.query) == 6
    assert not set(people(dataset.train)) & set(people(dataset.gallery))


def test_folders_in_any_case(tree) -> None:
    names = [f"{folder}/{name}" for folder, name in (
        ("Bounding_Box_Train", "0002_c1s1_000451_03.jpg"),
        ("Query", "0001_c1s1_001051_00.jfif"),
        ("BOUNDING_BOX_TEST", "0001_c2s1_001051_00.jpg"),
    )]  # fmt: skip
    dataset = recognize(tree(names))
    assert dataset.name == "market1501"
    assert [len(split) for split in (dataset.train, dataset.query, dataset.gallery)] == [1, 1, 1]


@pytest.mark.parametrize("folder", ["test", "gallery", "Test", "train_all"])
def test_images_in_a_renamed_split_are_not_lost(tree, folder: str) -> None:
    names = ["query/0001_c1s1_001051_00.jpg", f"{folder}/0001_c2s1_001051_00.jpg"]
    with pytest.raises(DatasetLayoutError, match=f"1 images of market1501 lie in '{folder}', which would not be read"):
        recognize(tree(names))
