"""Canonical poses: learned by k-means, laid on confident keypoints by least squares, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from passerby.data.keypoints import canonical as canonical_module
from passerby.data.keypoints.canonical import CanonicalPoses, learn_canonical_poses, shipped_canonical_poses
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.regions import are_upright
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, DatasetLayoutError, OutputError, ShapeError


def shapes(k: int = 3, seed: int = 0) -> NDArray[np.float32]:
    """Poses that no moving and scaling makes equal."""
    return np.random.default_rng(seed).uniform(0.2, 0.8, size=(k, 18, 2)).astype(np.float32)


def canonical(k: int = 3) -> CanonicalPoses:
    shares = np.arange(k, 0, -1, dtype=np.float32)
    return CanonicalPoses(shapes(k), shares / shares.sum())


def seen(keypoints: NDArray[np.floating], *places: int) -> Keypoints:
    """Poses of which only some keypoints were found; the others are nowhere."""
    confidence = np.zeros(keypoints.shape[:2], np.float32)
    confidence[:, list(places)] = 0.9
    return Keypoints(np.where(confidence[..., None] > 0, keypoints, np.nan).astype(np.float32), confidence)


def literal_fill(poses: Keypoints, known: CanonicalPoses, least: float = 0.1) -> NDArray[np.float64]:
    """One person after the other, with a general least-squares solver for scale and translation."""
    filled = []
    for keypoints, confidence in zip(poses.xy.astype(float), poses.confidence, strict=True):
        kept = [j for j in range(18) if confidence[j] >= least]
        best: tuple[float, NDArray[np.float64]] = (np.inf, known.mean)
        for pose in known.poses.astype(float):
            rows = np.array([[pose[j, axis], axis == 0, axis == 1] for j in kept for axis in (0, 1)], float)
            target = np.array([keypoints[j, axis] for j in kept for axis in (0, 1)])
            (s, tx, ty), *_ = np.linalg.lstsq(rows, target, rcond=None)
            laid = s * pose + [tx, ty]
            error = float(((laid[kept] - keypoints[kept]) ** 2).sum())
            if error < best[0]:
                best = (error, laid)
        filled.append([keypoints[j] if j in kept else best[1][j] for j in range(18)])
    return np.array(filled)


def test_filling_is_the_literal_least_squares() -> None:
    generator = np.random.default_rng(4)
    known = canonical()
    people = known.poses[generator.integers(3, size=8)] * generator.uniform(0.7, 1.4, size=(8, 1, 1))
    people = people + generator.normal(scale=0.1, size=(8, 1, 2)) + generator.normal(scale=0.01, size=(8, 18, 2))
    poses = seen(people, 0, 3, 5, 8, 13, 17)
    assert np.allclose(known.fill(poses), literal_fill(poses, known), atol=1e-5)


def test_a_moved_and_scaled_pose_is_found_again() -> None:
    known = canonical()
    people = known.poses * 0.8 + np.array([0.1, -0.05])
    assert np.allclose(known.fill(seen(people, 1, 2, 8, 10)), people, atol=1e-5)


def test_confident_keypoints_stay_as_they_are() -> None:
    people = np.random.default_rng(1).uniform(size=(2, 18, 2)).astype(np.float32)
    filled = canonical().fill(seen(people, 2, 4, 6))
    assert np.array_equal(filled[:, [2, 4, 6]], people[:, [2, 4, 6]])
    assert np.isfinite(filled).all()
    everything = Keypoints(people, np.ones((2, 18), np.float32))
    assert np.array_equal(canonical().fill(everything), people)


def test_the_least_confidence_decides_what_is_kept() -> None:
    poses = Keypoints(shapes(1), np.full((1, 18), 0.1, np.float32))
    assert np.array_equal(canonical().fill(poses), poses.xy)
    assert np.allclose(canonical().fill(poses, least=0.2)[0], canonical().mean)


def test_no_keypoint_gives_the_mean_pose() -> None:
    known = canonical()
    filled = known.fill(Keypoints(np.full((2, 18, 2), np.nan, np.float32), np.zeros((2, 18), np.float32)))
    expected = (3 * known.poses[0] + 2 * known.poses[1] + known.poses[2]) / 6
    assert np.allclose(filled, expected, atol=1e-6)


def test_one_keypoint_moves_the_pose_that_is_nearest_there() -> None:
    known = canonical()
    place = known.poses[1, 4] + 0.01
    filled = known.fill(seen(np.broadcast_to(place, (1, 18, 2)), 4))
    assert np.allclose(filled[0], known.poses[1] + 0.01, atol=1e-6)


def test_two_keypoints_scale_the_pose_that_is_nearest_there() -> None:
    known = canonical()
    middle = known.poses[2, [4, 9]].mean(axis=0)
    people = (known.poses[2:] - middle) * 1.02 + middle
    assert np.allclose(known.fill(seen(people, 4, 9)), people, atol=1e-5)


@pytest.mark.parametrize(("factor", "scale"), [(5.0, 2.0), (0.1, 0.5), (-1.0, 0.5)])
def test_scales_stay_within_reason(factor: float, scale: float) -> None:
    known = CanonicalPoses(shapes(1), np.ones(1, np.float32))
    filled = known.fill(seen(known.poses * factor, 0, 5, 9, 12))
    assert np.allclose(np.diff(filled[0, [1, 2]], axis=0), scale * np.diff(known.poses[0, [1, 2]], axis=0), atol=1e-5)


def test_keypoints_in_one_place_do_not_scale() -> None:
    known = CanonicalPoses(shapes(1), np.ones(1, np.float32))
    filled = known.fill(seen(np.full((1, 18, 2), 0.5), 0, 5, 9))
    assert np.allclose(np.diff(filled[0, [1, 2]], axis=0), np.diff(known.poses[0, [1, 2]], axis=0), atol=1e-6)


def test_a_person_does_not_depend_on_the_batch() -> None:
    known, people = canonical(), shapes(5, seed=7)
    poses = seen(people, 0, 3, 8, 11)
    alone = [known.fill(Keypoints(poses.xy[i : i + 1], poses.confidence[i : i + 1]))[0] for i in range(5)]
    assert np.allclose(known.fill(poses), np.stack(alone), atol=1e-7)
    assert known.fill(Keypoints(people[:0], np.zeros((0, 18), np.float32))).shape == (0, 18, 2)


def test_a_confident_keypoint_without_a_place_is_an_error() -> None:
    poses = Keypoints(np.full((1, 18, 2), np.nan, np.float32), np.ones((1, 18), np.float32))
    with pytest.raises(ShapeError, match="not at a finite place"):
        canonical().fill(poses)


def crowd(n: int = 60, scale: float = 0.01) -> Keypoints:
    """Three kinds of pose, six, three and one in ten of all."""
    kinds = np.repeat([0, 1, 2], [n * 6 // 10, n * 3 // 10, n // 10])
    noise = np.random.default_rng(2).normal(scale=scale, size=(len(kinds), 18, 2))
    return Keypoints((shapes()[kinds] + noise).astype(np.float32), np.ones((len(kinds), 18), np.float32))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_kinds_of_pose_are_learned_most_frequent_first(seed: int) -> None:
    learned = learn_canonical_poses(crowd(), 3, seed=seed, learned_from="a crowd")
    assert np.allclose(learned.poses, shapes(), atol=0.02)
    assert learned.shares.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert np.allclose(learned.mean, crowd().xy.mean(axis=0), atol=1e-5)
    assert learned.learned_from == "a crowd"


def test_every_center_is_the_mean_of_those_nearest_to_it() -> None:
    poses = Keypoints(shapes(100), np.ones((100, 18), np.float32))  # no kinds that the first step would find
    learned = learn_canonical_poses(poses, 5)
    distances = ((poses.xy[:, None] - learned.poses) ** 2).sum(axis=(2, 3))
    nearest = distances.argmin(axis=1)
    for i in range(5):
        assert np.allclose(learned.poses[i], poses.xy[nearest == i].mean(axis=0), atol=1e-5)
        assert learned.shares[i] == pytest.approx((nearest == i).mean())


def test_equal_arguments_learn_equal_poses_and_only_whole_ones_count() -> None:
    poses = crowd()
    partly = Keypoints(
        np.concatenate([poses.xy, np.full((5, 18, 2), 9.0, np.float32)]),
        np.concatenate([poses.confidence, np.eye(18, dtype=np.float32)[:5]]),
    )
    assert np.array_equal(learn_canonical_poses(poses, 4).poses, learn_canonical_poses(partly, 4).poses)


def test_as_many_centers_as_poses_are_the_poses() -> None:
    poses = Keypoints(shapes(6), np.ones((6, 18), np.float32))
    learned = learn_canonical_poses(poses, 6)
    assert sorted(learned.poses[:, 0, 0].tolist()) == pytest.approx(sorted(poses.xy[:, 0, 0].tolist()))


def test_a_center_that_loses_everybody_moves_to_who_is_worst_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def badly(x: NDArray[np.float64], k: int, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.stack([x.mean(axis=0), np.full(36, 50.0), np.full(36, 60.0)])

    monkeypatch.setattr(canonical_module, "_start", badly)
    learned = learn_canonical_poses(crowd(), 3)
    assert np.isfinite(learned.poses).all()
    assert (learned.shares > 0).all()
    assert np.abs(learned.poses).max() < 1


def test_too_few_poses_are_errors() -> None:
    same = Keypoints(np.repeat(shapes(2), 10, axis=0), np.ones((20, 18), np.float32))
    with pytest.raises(ConfigError, match=r"3 canonical poses need .* got 2 among 20"):
        learn_canonical_poses(same, 3)
    with pytest.raises(ConfigError, match="got 0 among 3"):
        learn_canonical_poses(seen(shapes(), 1, 2), 1)
    with pytest.raises(ConfigError, match="0 canonical poses"):
        learn_canonical_poses(same, 0)


def test_a_file_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    known = learn_canonical_poses(crowd(), 3, learned_from="a crowd")
    known.save(path)
    read = CanonicalPoses.load(path)
    assert np.allclose(read.poses, known.poses, atol=1e-4)
    assert np.allclose(read.shares, known.shares, atol=1e-5)
    assert read.learned_from == "a crowd"
    with pytest.raises(OutputError, match="no folder"):
        known.save(tmp_path / "nowhere" / "poses.json")


def test_other_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="learn and save them first"):
        CanonicalPoses.load(tmp_path / "absent.json")
    path = tmp_path / "poses.json"
    canonical().save(path)
    whole = json.loads(path.read_text())
    for broken in (
        [],
        {},
        {**whole, "joints": list(KEYPOINT_NAMES)[::-1]},
        {**whole, "poses": whole["poses"][:2]},
        {**whole, "poses": [[["x", 0]]]},
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(DatasetLayoutError, match="has no canonical poses"):
            CanonicalPoses.load(path)


def test_values_that_are_none() -> None:
    with pytest.raises(ShapeError, match="with k shares"):
        CanonicalPoses(shapes(3), np.ones(2, np.float32) / 2)
    with pytest.raises(ShapeError, match="finite"):
        CanonicalPoses(np.full((1, 18, 2), np.nan, np.float32), np.ones(1, np.float32))
    with pytest.raises(ShapeError, match="sum to 1"):
        CanonicalPoses(shapes(2), np.ones(2, np.float32))


def test_the_shipped_ones_stand_upright_in_the_image() -> None:
    shipped = shipped_canonical_poses()
    assert len(shipped.poses) == 16
    assert "pedestrians" in shipped.learned_from
    assert are_upright(shipped.poses).all()
    neck, knees, ankles = (
        shipped.poses[:, [KEYPOINT_NAMES.index(n) for n in names.split()], 1].mean()
        for names in ("neck", "left_knee right_knee", "left_ankle right_ankle")
    )
    assert 0 < neck < 0.3 < knees < ankles < 1
