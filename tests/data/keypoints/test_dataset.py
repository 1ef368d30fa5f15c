"""Images with keypoints: generated on demand and from disk they are the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.data.images.decode import read_all
from passerby.data.keypoints.dataset import MARKS, UNLABELED, move_to_annotated_places, read_pose_set
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.registry import load
from passerby.errors import DatasetLayoutError

SETTINGS = {"people": 4, "cameras": 2, "images": 1, "size": (32, 16), "preset": "easy"}


def test_a_generated_dataset_and_its_files_agree(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    generated, written = load("pedestrians", cache=None, **SETTINGS), load(draw_people(tmp_path / "data", **SETTINGS))
    a = read_pose_set(generated.source, generated.split("train"), (64, 32))
    b = read_pose_set(written.source, written.split("train"), (64, 32))
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.confidence, b.confidence)
    inside = a.confidence > 0
    torch.testing.assert_close(
        a.keypoints[inside], b.keypoints[inside], atol=0.01 / 16, rtol=0
    )  # files have two decimals


def test_rows_are_the_samples(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load(draw_people(tmp_path / "data", **SETTINGS))
    samples, reports = list(reversed(dataset.split("train"))), []
    people = read_pose_set(dataset.source, samples, (32, 16), progress=reports.append)
    assert len(people) == sum(reports) == len(samples) == 4
    assert torch.equal(people.images, read_all(dataset.source, samples, (32, 16)))
    assert set(people.confidence.unique().tolist()) <= {0.0, 0.5, 1.0}


def test_hips_and_ankles_are_where_annotators_mark_them(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    assert {name: share for name, (_, share) in MARKS.items()} == {
        "hip": 0.11,
        "ankle": 0.10,
        "knee": 0.04,
        "wrist": 0.12,
        "elbow": 0.07,
    }
    keypoints, confidence = torch.zeros(2, 18, 2), torch.ones(2, 18)
    hip, knee, ankle, nose = (KEYPOINT_NAMES.index(name) for name in ("left_hip", "left_knee", "left_ankle", "nose"))
    keypoints[:, hip, 1], keypoints[:, knee, 1], keypoints[:, ankle, 1], keypoints[:, nose, 1] = 0.5, 0.7, 0.9, 0.1
    confidence[1, knee] = 0  # outside, in an unknown direction
    new = move_to_annotated_places(keypoints, confidence)
    assert new[0, [hip, knee, ankle, nose], 1].tolist() == pytest.approx([0.522, 0.692, 0.88, 0.1])
    assert torch.equal(new[1], keypoints[1])
    folder = draw_people(tmp_path / "data", **SETTINGS)
    generated = load(folder)
    ours = read_pose_set(generated.source, generated.train, (32, 16))
    (folder / "settings.json").unlink()  # no generated dataset any more, but images with COCO's keypoints
    theirs = load(folder)
    as_marked = read_pose_set(theirs.source, theirs.train, (32, 16))
    assert torch.equal(move_to_annotated_places(as_marked.keypoints, as_marked.confidence), ours.keypoints)
    assert not torch.equal(as_marked.keypoints, ours.keypoints)


def test_no_samples_are_an_empty_set() -> None:
    people = read_pose_set(load("pedestrians", cache=None, **SETTINGS).source, [], (32, 16))
    assert (len(people), tuple(people.keypoints.shape)) == (0, (0, 18, 2))


def test_images_without_keypoints_are_errors(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "data", **SETTINGS)
    (folder / "keypoints.json").unlink()
    dataset = load(folder)
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json"):
        read_pose_set(dataset.source, dataset.split("train"), (32, 16))


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Any:
    """The dataset whose ``keypoints.json`` was changed so."""
    whole = json.loads((folder / "keypoints.json").read_text())
    change(whole)
    (folder / "keypoints.json").write_text(json.dumps(whole))
    return load(folder)


def without_knees(whole: dict[str, Any]) -> None:
    """Remove the labels of the left ones, and the right ones from the file's keypoints."""
    names = whole["categories"][0]["keypoints"]
    left, right = names.index("left_knee"), names.index("right_knee")
    names[right] = "right_kneecap"
    for person in whole["annotations"]:
        person["keypoints"][3 * left : 3 * left + 3] = [0, 0, 0]


def test_unlabeled_keypoints_are_outside_of_generated_people_only(
    draw_people: Callable[..., Path], tmp_path: Path
) -> None:
    folder = draw_people(tmp_path / "data", **SETTINGS)
    dataset = edited(folder, without_knees)
    knees = [KEYPOINT_NAMES.index("left_knee"), KEYPOINT_NAMES.index("right_knee")]
    generated = read_pose_set(dataset.source, dataset.train, (32, 16))
    assert (generated.confidence[:, knees] == 0).all()
    (folder / "settings.json").unlink()  # photos with COCO's keypoints
    dataset = load(folder)
    people = read_pose_set(dataset.source, dataset.train, (32, 16))
    assert (people.confidence[:, knees] == UNLABELED).all()
    assert torch.equal(people.confidence > 0, generated.confidence > 0)
    assert torch.equal(people.confidence < 0, generated.confidence == 0)


def test_images_without_annotation_are_left_out_and_counted(
    draw_people: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = draw_people(tmp_path / "data", **SETTINGS)
    (folder / "settings.json").unlink()
    first, second = load(folder).train[:2]

    def forget(whole: dict[str, Any]) -> None:
        numbers = {image["file_name"]: image["id"] for image in whole["images"]}
        kept = [one for one in whole["annotations"] if one["image_id"] != numbers[first.path]]
        for person in kept:
            if person["image_id"] == numbers[second.path]:
                person["keypoints"] = [0] * len(person["keypoints"])
        whole["annotations"] = kept

    dataset, told = edited(folder, forget), []
    people = read_pose_set(dataset.source, dataset.train, (32, 16), progress=told.append)
    assert (len(people), sum(told)) == (2, 4)
    assert torch.equal(people.images, read_all(dataset.source, dataset.train[2:], (32, 16)))
    assert (people.confidence > 0).any(1).all()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING  # which Python prints by itself
    assert f"2 of 4 images have no annotated keypoint ({first.path}, {second.path})" in record.getMessage()
    unlabeled = edited(folder, lambda whole: whole.update(annotations=[]))
    assert len(read_pose_set(unlabeled.source, unlabeled.train, (32, 16))) == 0
