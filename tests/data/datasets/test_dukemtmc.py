"""DukeMTMC-reID: Market's folders with other names, told from Market; and its occluded split."""

from __future__ import annotations

import pytest

from passerby.data.dataset import people
from passerby.data.registry import DATASETS, load, recognize
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

READ = DATASETS["dukemtmc"].read
SOUND = (
    "bounding_box_train/0001_c2_f0046182.jpg",
    "bounding_box_train/0001_c5_f0051341.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051781.jpg",
    "bounding_box_test/7139_c2_f0160815.jpg",
)


@pytest.mark.parametrize("above", ["", "DukeMTMC-reID/", "a/query/"])
def test_people_cameras_and_frames(tree, above: str) -> None:
    dataset = recognize(tree([above + name for name in (*SOUND, "CITATION.txt")]))
    assert dataset.name == "dukemtmc"
    assert dataset.train == (
        Sample(above + SOUND[0], 1, 2, Role.PERSON, 46182),
        Sample(above + SOUND[1], 1, 5, Role.PERSON, 51341),
    )
    assert dataset.query == (Sample(above + SOUND[2], 5, 2, time=46985),)
    assert people(dataset.gallery) == [5, 7139], "whom one camera alone saw is a person, too"


@pytest.mark.parametrize("part", range(3))
def test_one_folder_is_enough_to_be_recognised(directory, part: int) -> None:
    names = [name for name in SOUND if name.startswith(("bounding_box_train", "query", "bounding_box_test")[part])]
    assert recognize(directory(names)).name == "dukemtmc"


@pytest.mark.parametrize(
    "name",
    ["0001_c1s1_000451_03.jpg", "-1_c1_f0000001.jpg", "0001_c1.jpg", "0001_f0000001.jpg", "x0001_c1_f0000001.jpg"],
)
def test_other_names_are_errors(directory, name: str) -> None:
    with pytest.raises(DatasetLayoutError, match=r"1 images are not named .* expected PPPP_cC_fFFFFFFF\.jpg") as caught:
        READ(directory([*SOUND, f"query/{name}"]))
    assert name in str(caught.value)


def test_two_copies_are_errors(directory) -> None:
    with pytest.raises(DatasetLayoutError, match="more than one copy"):
        READ(directory([f"{copy}/{name}" for copy in "ab" for name in SOUND]))


def test_market_is_not_mistaken_for_it() -> None:
    assert not DATASETS["dukemtmc"].recognizes(("bounding_box_train/0002_c1s1_000451_03.jpg",))
    assert not DATASETS["dukemtmc"].recognizes(("photos/0001_c2_f0046182.jpg",))


def test_the_occluded_split_is_read_when_it_is_named(tree) -> None:
    source = tree(SOUND)
    occluded = load(f"occluded_duke:{source.root}")
    assert occluded.name == "occluded_duke"
    assert (occluded.train, occluded.query, occluded.gallery) == (
        READ(source).train,
        READ(source).query,
        READ(source).gallery,
    )
    assert not DATASETS["occluded_duke"].recognizes(source.names())


def test_the_published_counts(real) -> None:
    assert load(f"dukemtmc:{real('DukeMTMC-reID')}").summary() == (
        "train 16,522 images of 702 people, query 2,228 images of 702 people, gallery 17,661 images of 1,110 people"
    )


def test_the_published_counts_of_the_occluded_split(real) -> None:
    assert load(f"occluded_duke:{real('Occluded_Duke')}").summary() == (
        "train 15,618 images of 702 people, query 2,210 images of 519 people, gallery 17,661 images of 1,110 people"
    )
