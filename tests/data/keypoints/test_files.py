"""Annotated keypoints: of generated people, COCO's JSON, and Market-1501's body points."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.files import coco_keypoints, market_keypoints, own_keypoints
from passerby.data.keypoints.in_pixels import keypoints_in_pixels
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError
from passerby.synthetic.dataset import open_pedestrians

SIDES = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO = ["nose", *(f"{side}_{keypoint}" for keypoint in SIDES for side in ("left", "right"))]


def test_generated_people_have_keypoints() -> None:
    source = open_pedestrians(people=2, cameras=1, images=1, size=(32, 16), cache=None)
    estimate: PoseEstimator = own_keypoints(source)
    names = source.names()
    found = estimate(names, None)  # type: ignore[arg-type]
    for name, xy, confidence in zip(names, *found, strict=True):
        labels = source.labels(name)
        assert np.allclose(xy, labels.keypoints / [16, 32], atol=1e-6)
        assert confidence.tolist() == [[0.0, 0.5, 1.0][code] for code in labels.visibility]
    assert found.confidence.max() == 1


def test_a_written_set_says_the_same(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    source = open_source(draw_people(tmp_path / "people", people=2, cameras=2, images=1))
    estimate = own_keypoints(source)
    names = [name for name in source.names() if name.endswith(".jpg")]
    found = estimate(names)
    known = keypoints_in_pixels(source)
    for name, xy, confidence in zip(names, *found, strict=True):
        assert np.allclose(xy * [16, 32], known[name].xy, atol=1e-4)
        assert np.array_equal(confidence, known[name].visibility / 2)


def coco(**changes: Any) -> dict[str, Any]:
    """One person 40 pixels wide and 80 high; keypoint i of COCO at (i, 2 i)."""
    keypoints = [number for i in range(17) for number in (i, 2 * i, 2)]
    keypoints[3 * 5 + 2] = 1  # the left shoulder is hidden
    keypoints[3 * 9 : 3 * 10] = [0, 0, 0]  # the left wrist was not found
    person = {"image_id": 7, "category_id": 1, "keypoints": keypoints, "bbox": [0, 0, 20, 40]}
    return {
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 40, "height": 80}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": COCO}],
    } | changes


def read(whole: object, *names: str) -> Any:
    return coco_keypoints(json.dumps(whole).encode(), origin="people.json")(names or ("a/b.jpg",))


def test_cocos_keypoints_find_their_places() -> None:
    keypoints, confidence = (part[0] for part in read(coco()))
    for i, name in enumerate(COCO):
        place = KEYPOINT_NAMES.index(name)
        if name == "left_wrist":
            assert confidence[place] == 0
            continue
        assert keypoints[place].tolist() == pytest.approx([i / 40, 2 * i / 80])
        assert confidence[place] == (0.5 if name == "left_shoulder" else 1)


def test_cocos_neck_is_midway_between_the_shoulders_and_as_sure_as_the_less_sure() -> None:
    keypoints, confidence = (part[0] for part in read(coco()))
    assert keypoints[1].tolist() == pytest.approx([5.5 / 40, 11 / 80])
    assert confidence[1] == 0.5
    without = coco()
    without["annotations"][0]["keypoints"][3 * 6 : 3 * 7] = [0, 0, 0]
    assert read(without).confidence[0, 1] == 0


def test_a_neck_of_their_own_is_kept() -> None:
    whole = coco(categories=[{"id": 1, "keypoints": [*COCO, "neck"]}])
    whole["annotations"][0]["keypoints"] += [33, 44, 2]
    assert read(whole).xy[0, 1].tolist() == pytest.approx([33 / 40, 44 / 80])


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_people_the_largest_counts(order: int) -> None:
    whole = coco()
    small = {"image_id": 7, "category_id": 1, "keypoints": [1, 1, 2] * 17, "bbox": [0, 0, 2, 3]}
    whole["annotations"] = [small, *whole["annotations"]][::order]
    assert read(whole).xy[0, KEYPOINT_NAMES.index("left_ankle")].tolist() == pytest.approx([15 / 40, 30 / 80])


def test_without_annotations_nothing_is_found() -> None:
    assert not read(coco(annotations=[])).confidence.any()


def test_an_unknown_image_is_an_error() -> None:
    with pytest.raises(
        DatasetLayoutError, match=r"people\.json has no keypoints of 2 of 3 images: x\.jpg, y\.jpg\. Fix: give"
    ):
        read(coco(), "x.jpg", "a/b.jpg", "y.jpg")


def test_no_images_are_no_error() -> None:
    keypoints = coco_keypoints(json.dumps(coco()).encode(), origin="people.json")([])
    assert keypoints.xy.shape == (0, 18, 2)
    assert keypoints.confidence.shape == (0, 18)


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param(coco(annotations=[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}]), id="boxes only"),
        pytest.param(coco(categories=[{"id": 1, "keypoints": COCO[:3]}]), id="too few names"),
        pytest.param(coco(images=[{"id": 7, "file_name": "a/b.jpg"}]), id="no size"),
        pytest.param(
            coco(annotations=[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "keypoints": [1, 1, 0.83] * 17}]),
            id="scores",
        ),
    ],
)
def test_other_json_is_an_error(whole: object) -> None:
    with pytest.raises(DatasetLayoutError, match=r"people\.json is not COCO's keypoints JSON .* expected images"):
        read(whole)


def test_text_that_is_no_json_is_an_error() -> None:
    with pytest.raises(DatasetLayoutError, match="not COCO's keypoints JSON"):
        coco_keypoints(b"\xff{", origin="people.json")


MAT = "market1501_14point_query.mat"
PICTURES = ["m/query/0002_c1s1_000001_00.jpg", "m/query/0001_c1s1_000001_00.jpg.jpg", "m/readme.txt", "other/x.jpg"]


def points(path: Path, value: Any, *, name: str = "pp") -> Path:
    h5py = pytest.importorskip("h5py", reason="h5py, which reads MATLAB 7.3 files, is not installed")
    with h5py.File(path / MAT, "w") as file:
        file[name] = value
    return path


def two_rows() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Point i of row r at x = 10 r + i + 1, y = 50 + 10 r + i."""
    return np.array([[*(10 * r + i + 1 for i in range(14)), *(50 + 10 * r + i for i in range(14))] for r in range(2)])


def test_markets_points_find_their_places_in_the_order_of_names(tmp_path: Path) -> None:
    keypoints = market_keypoints(open_source(points(tmp_path, two_rows())), PICTURES, own_neck=True)
    keypoints, confidence = keypoints([PICTURES[1], PICTURES[0]])
    assert confidence[:, 1:14].min() == 1
    assert not confidence[:, [0, 14, 15, 16, 17]].any()  # the first point, the top of the head, is no keypoint of ours
    for r in range(2):  # person 1 comes first in the file
        for place in range(1, 14):
            assert keypoints[r, place].tolist() == pytest.approx(
                [(10 * r + place + 0.5) / 64, (49.5 + 10 * r + place) / 128]
            )


def test_markets_neck_is_midway_between_the_shoulders(tmp_path: Path) -> None:
    """Points 3 and 6 are the shoulders; OpenPose's neck is not the files' second point."""
    keypoints, confidence = market_keypoints(open_source(points(tmp_path, two_rows())), PICTURES)([PICTURES[1]])
    assert keypoints[0, 1].tolist() == pytest.approx([(2.5 + 5.5) / 2 / 64, (51.5 + 54.5) / 2 / 128])
    assert confidence[0, 1] == 1


def test_rows_must_be_as_many_as_images(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match=r"has 2 rows, but query has 1 images"):
        market_keypoints(open_source(points(tmp_path, two_rows())), PICTURES[:1])


def test_other_mat_files_are_errors(tmp_path: Path) -> None:
    points(tmp_path, two_rows(), name="qq")
    with pytest.raises(DatasetLayoutError, match=r"query\.mat cannot be read"):
        market_keypoints(open_source(tmp_path), PICTURES)
    points(tmp_path, two_rows()[:, :20])
    with pytest.raises(DatasetLayoutError, match=r"has the shape \(2, 20\), expected \(images, 28\): 14 x, then y"):
        market_keypoints(open_source(tmp_path), PICTURES)
    (tmp_path / MAT).write_bytes(b"MATLAB 5.0 and no more")
    with pytest.raises(DatasetLayoutError, match=r"query\.mat cannot be read"):
        market_keypoints(open_source(tmp_path), PICTURES)
    (tmp_path / MAT).unlink()
    with pytest.raises(DatasetLayoutError, match="has no file"):
        market_keypoints(open_source(tmp_path), PICTURES)


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(DatasetLayoutError, match="pip install h5py"):
        market_keypoints(open_source(tmp_path), PICTURES)


def test_the_real_points_lie_on_the_real_people(shared: Path) -> None:
    pytest.importorskip("h5py", reason="h5py, which reads MATLAB 7.3 files, is not installed")
    names = open_source(shared / "data" / "Market-1501-v15.09.15.zip").names()
    keypoints = market_keypoints(open_source(shared / "data" / "market1501_body_point"), names)
    assert len(keypoints.tables) == 12_936 + 3_368 + 19_732
    keypoints, _ = keypoints([name for name in keypoints.tables if "/query/" in name])
    necks, ankles = keypoints[:, 1, 1], keypoints[:, [10, 13], 1].mean(axis=1)
    assert (necks < ankles).mean() > 0.99
    assert 0.1 < np.median(necks) < 0.25
    assert 0.8 < np.median(ankles) < 1
