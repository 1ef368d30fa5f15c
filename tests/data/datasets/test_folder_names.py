"""Trees whose folders are splits, cameras, dates or sequences: read right, or refused with the folders named."""

from __future__ import annotations

import pytest

from passerby.data.datasets.folder_names import kind_of, named_kinds, no_people
from passerby.data.registry import DATASETS, explain, load, recognize
from passerby.errors import DatasetLayoutError

REFUSED = {
    "VeRi": (["V/image_train/0001_c001_00016450_0.jpg", "V/image_query/0002_c001_00016450_0.jpg"], "'image_query'"),
    "VIPeR": (["cam_a/001_45.bmp", "cam_b/001_90.bmp"], "'cam_a', 'cam_b' (named like a camera)"),
    "PRID": (["m/cam_a/person_0001/1.png", "m/cam_b/person_0001/1.png"], "'cam_a', 'cam_b'"),
    "SenseReID": (["test_probe/1_0.jpg", "test_gallery/1_1.jpg"], "'test_gallery', 'test_probe' (named like a split)"),
    "GRID": (["probe/1_1.jpeg", "gallery/1_2.jpeg"], "'gallery', 'probe'"),
    "iLIDS-VID": (["i/images/cam1/person001/a.png", "i/images/cam2/person001/b.png"], "'cam1', 'cam2'"),
    "CUHK02": (["P1/cam1/1.png", "P1/cam2/1.png", "P2/cam1/1.png"], "'cam1', 'cam2'"),
    "MARS": (["bbox_train/0001/0001C1T0001F001.jpg", "bbox_test/0002/0002C1T0001F001.jpg"], "'bbox_test'"),
    "train and test": (["train/ann/1.jpg", "test/bob/1.jpg"], "'test', 'train'"),
    "test alone": (["data/test/ann/1.jpg", "data/test/bob/1.jpg"], "'test'"),
    "prepared for training": (["p/train/1/a.jpg", "p/train_all/1/a.jpg", "p/val/1/a.jpg"], "'train_all'"),
    "videos": (["train/0001/0001/1.jpg", "train/0002/0002/1.jpg", "query/3/3/1.jpg"], "'query', 'train'"),
    "tracklets of one person": (["ann/tracklet_1/1.jpg", "ann/tracklet_2/1.jpg"], "'tracklet_1', 'tracklet_2'"),
    "tracklets": (["ann/a/1.jpg", "bob/a/1.jpg"], "'ann', 'bob' (they lie in different folders)"),
    "tracklet codes": (["0001C1T0001/1.jpg", "0001C2T0001/1.jpg"], "named like a sequence"),
    "dates": (["2024-01-05/1.jpg", "2024-01-06/1.jpg"], "named like a date"),
    "days": (["1. Januar/1.jpg", "2. Januar/1.jpg"], "'1. Januar'"),
    "numbered days": (["day1/1.jpg", "day2/1.jpg"], "'day1', 'day2'"),
    "compact dates": (["20240105/1.jpg", "20240106/1.jpg"], "'20240105'"),
    "compact dates, day first": (["05012024/1.jpg", "06012024/1.jpg"], "'05012024'"),
    "seconds": (["1704412800/1.jpg", "1704416400/1.jpg"], "named like a date"),
    "weeks": (["2024-W01/1.jpg", "2024-W02/1.jpg"], "'2024-W01'"),
    "times of day": (["08-00/1.jpg", "09-00/1.jpg"], "named like a date"),
    "tracks of people": (["person1_track1/1.jpg", "person1_track2/1.jpg"], "or in several tracks"),
    "enrollment": (["enroll/1.jpg", "verify/1.jpg"], "'enroll', 'verify' (named like a split)"),
    "splits in Chinese": (["训练/1.jpg", "测试/1.jpg"], "named like a split"),
    "occlusion": (["occluded/1.jpg", "whole/1.jpg"], "named like a set of images"),
    "copies": (["original/1.jpg", "augmented/1.jpg"], "named like a set of images"),
    "benchmarks": (["Market-1501-v15.09.15/1.jpg", "DukeMTMC-reID/1.jpg"], "named like a dataset"),
    "sides": (["left/1.jpg", "right/1.jpg"], "'left', 'right' (named like a camera)"),
    "one of them": (["ann/1.jpg", "bob/1.jpg", "cam3/1.jpg"], "'cam3'"),
    "a heap beside people": (["ann/1.jpg", "bob/1.jpg", "unknown/1.jpg"], "'unknown' (named like a set of images)"),
    "images and labels": (["images/1.png", "labels/1.png"], "'images', 'labels'"),
    "addresses": (["192.168.0.10/1.jpg", "192.168.0.11/1.jpg"], "named like a camera"),
    "cameras and sequences": (["c1_s1/1.jpg", "c1_s2/1.jpg"], "'c1_s1', 'c1_s2'"),
    "classes": (["pedestrian/1.jpg", "vehicle/1.jpg"], "named like a class"),
    "a folder per person and camera": (["0001_c1/1.jpg", "0001_c2/1.jpg"], "one person under several cameras"),
    "names of many people": (["a/0001_c1s1_000151_01.jpg", "a/0002_c1s1_000151_01.jpg", "b/x.jpg"], "several people"),
}


@pytest.mark.parametrize(("names", "words"), REFUSED.values(), ids=REFUSED)
def test_folders_that_are_no_people_are_refused_by_name(tree, names: list[str], words: str) -> None:
    with pytest.raises(DatasetLayoutError) as error:
        recognize(tree(names))
    assert words in str(error.value)
    assert "Fix: arrange the images as [train|query|gallery/]PERSON/IMAGE" in str(error.value)


def test_whoever_says_folder_is_believed(directory) -> None:
    source = directory(["cam_a/1.jpg", "cam_b/1.jpg"])
    with pytest.raises(DatasetLayoutError, match="if each is one person all the same, say folder:PATH"):
        recognize(source)
    assert [s.pid for s in load(f"folder:{source.root}").train] == [0, 1]


@pytest.mark.parametrize(
    "names",
    [
        ["Train/ann/1.jpg", "QUERY/bob/1.jpg", "Gallery/bob/2.jpg"],
        ["w/w/train/ann/1.jpg", "w/w/query/bob/1.jpg", "w/w/gallery/bob/2.jpg"],
    ],
)
def test_splits_in_any_case_and_at_any_depth(tree, names: list[str]) -> None:
    dataset = recognize(tree(names))
    assert [len(split) for split in (dataset.train, dataset.query, dataset.gallery)] == [1, 1, 1]
    assert dataset.query[0].pid == dataset.gallery[0].pid != dataset.train[0].pid


@pytest.mark.parametrize(
    "people",
    [
        ["ann", "val", "may", "hall"],
        ["0001", "1501"],
        ["person_1", "person_2"],
        ["id3", "S1"],
        ["p1", "P5"],
        ["cat", "dog"],
        ["Camille", "Cameron", "Testa"],
        ["c3po", "ann"],
        ["20240105", "20249999"],
        ["05012024", "45012024"],
        ["1704412800", "2104412800"],
        ["08-00", "08-01"],
        ["mars", "ann"],
        ["person1_a", "person1_b"],
    ],
)
def test_people_of_any_name_stay_people(people: list[str]) -> None:
    assert no_people(people) is None
    assert DATASETS["folder"].recognizes([f"{name}/1.jpg" for name in people])


@pytest.mark.parametrize(
    ("folder", "what"),
    [
        *((name, "a split") for name in ("train", "trainSet", "train_all", "multi-query", "Probe", "bbox_test", "val")),
        *((name, "a camera") for name in ("c3", "cam1", "Camera-B", "camA", "view 2", "front", "IR", "cam_entrance")),
        *((name, "a date") for name in ("2024_01", "05.01.2024", "2024-01-05_10-30-00", "5 Jan 2024", "10h30", "May")),
        *((name, "a sequence") for name in ("track0001", "seq_01", "clip1", "0001C1T0001")),
    ],
)
def test_kinds(folder: str, what: str) -> None:
    assert (kind := kind_of(folder))
    assert kind.what == what


def test_long_lists_are_cut() -> None:
    assert named_kinds(f"cam{n}" for n in range(9)).endswith("'cam5' and 3 more (named like a camera)")


def test_what_no_folder_explains_is_not_explained() -> None:
    assert explain(["1.jpg", "2.jpg"]) is None


def test_one_person_whose_name_is_written_in_two_codes(directory) -> None:
    dataset = recognize(directory(["train/ann/1.jpg", "query/Jos\u00e9/1.jpg", "gallery/Jose\u0301/2.jpg"]))
    assert dataset.query[0].pid == dataset.gallery[0].pid
