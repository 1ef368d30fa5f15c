"""Pictures with joints: drawn on demand and from disk they are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from passerby.data.decode import read_all
from passerby.data.pedestrians.labels import JOINTS
from passerby.data.pose_set import MARKS, marked, read_pose_set
from passerby.data.registry import load
from passerby.errors import DatasetLayoutError

SETTINGS = {"people": 4, "cameras": 2, "images": 1, "size": (32, 16), "preset": "easy"}


def test_a_drawn_set_and_its_files_agree(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    drawn, written = load("pedestrians", cache=None, **SETTINGS), load(draw_people(tmp_path / "data", **SETTINGS))
    a = read_pose_set(drawn.source, drawn.split("train"), (64, 32))
    b = read_pose_set(written.source, written.split("train"), (64, 32))
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.sure, b.sure)
    inside = a.sure > 0
    torch.testing.assert_close(a.joints[inside], b.joints[inside], atol=0.01 / 16, rtol=0)  # files have two decimals


def test_rows_are_the_samples(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load(draw_people(tmp_path / "data", **SETTINGS))
    samples, reports = list(reversed(dataset.split("train"))), []
    people = read_pose_set(dataset.source, samples, (32, 16), progress=reports.append)
    assert len(people) == sum(reports) == len(samples) == 4
    assert torch.equal(people.images, read_all(dataset.source, samples, (32, 16)))
    assert set(people.sure.unique().tolist()) <= {0.0, 0.5, 1.0}


def test_hips_and_ankles_are_where_annotators_mark_them(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    assert {name: share for name, (_, share) in MARKS.items()} == {
        "hip": 0.11,
        "ankle": 0.10,
        "knee": 0.04,
        "wrist": 0.12,
        "elbow": 0.07,
    }
    joints, sure = torch.zeros(2, 18, 2), torch.ones(2, 18)
    hip, knee, ankle, nose = (JOINTS.index(name) for name in ("left_hip", "left_knee", "left_ankle", "nose"))
    joints[:, hip, 1], joints[:, knee, 1], joints[:, ankle, 1], joints[:, nose, 1] = 0.5, 0.7, 0.9, 0.1
    sure[1, knee] = 0  # outside: nobody knows in which direction
    new = marked(joints, sure)
    assert new[0, [hip, knee, ankle, nose], 1].tolist() == pytest.approx([0.522, 0.692, 0.88, 0.1])
    assert torch.equal(new[1], joints[1])
    folder = draw_people(tmp_path / "data", **SETTINGS)
    drawn = load(folder)
    ours = read_pose_set(drawn.source, drawn.train, (32, 16))
    (folder / "settings.json").unlink()  # no drawn set any more, but somebody's pictures with COCO's keypoints
    theirs = load(folder)
    as_marked = read_pose_set(theirs.source, theirs.train, (32, 16))
    assert torch.equal(marked(as_marked.joints, as_marked.sure), ours.joints)
    assert not torch.equal(as_marked.joints, ours.joints)


def test_no_samples_are_an_empty_set() -> None:
    people = read_pose_set(load("pedestrians", cache=None, **SETTINGS).source, [], (32, 16))
    assert (len(people), tuple(people.joints.shape)) == (0, (0, 18, 2))


def test_pictures_without_joints_are_refused(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "data", **SETTINGS)
    (folder / "keypoints.json").unlink()
    dataset = load(folder)
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json"):
        read_pose_set(dataset.source, dataset.split("train"), (32, 16))
