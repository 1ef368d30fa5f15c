"""The estimator keeps the protocol, its files reload, and the shipped network is as accurate and small as stated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.data.keypoints.dataset import read_pose_set
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.registry import load
from passerby.errors import ShapeError, WeightsError
from passerby.metrics.pck import keypoint_distances, pck
from passerby.models.keypoints.estimator import (
    SHIPPED,
    WEIGHTS,
    NetworkPoseEstimator,
    load_pose_network,
    save_pose_network,
    shipped_pose_estimator,
)
from passerby.models.keypoints.network import PoseNetwork


@pytest.fixture
def network() -> PoseNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PoseNetwork(size=(32, 16), width=4)
        for layer in (network.readout.x, network.readout.y):  # all bins differ, unlike in a fresh network
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
        return network


def random_images(n: int, size: tuple[int, int] = (32, 16)) -> torch.Tensor:
    return torch.randint(256, (n, 3, *size), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


@pytest.mark.parametrize("size", [(32, 16), (50, 40)])
def test_it_keeps_the_protocol_of_pose_estimators(network: PoseNetwork, size: tuple[int, int]) -> None:
    estimator: PoseEstimator = NetworkPoseEstimator(network)
    found = estimator(["a", "b", "c"], random_images(3, size))
    assert (found.xy.shape, found.confidence.shape) == ((3, 18, 2), (3, 18))
    assert (found.xy.dtype, found.confidence.dtype) == (np.float32, np.float32)
    assert ((found.xy > 0) & (found.xy < 1)).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_no_images_have_no_keypoints(network: PoseNetwork) -> None:
    found = NetworkPoseEstimator(network)([], random_images(0))
    assert (found.xy.shape, found.confidence.shape) == ((0, 18, 2), (0, 18))


def test_batches_do_not_matter(network: PoseNetwork) -> None:
    whole = NetworkPoseEstimator(network)(["a"] * 5, random_images(5))
    parts = NetworkPoseEstimator(network, batch_size=2)(["a"] * 5, random_images(5))
    np.testing.assert_array_equal(whole.xy, parts.xy)
    np.testing.assert_allclose(whole.confidence, parts.confidence, atol=1e-5)


def test_with_flip_tta_a_mirrored_image_has_mirrored_keypoints(network: PoseNetwork) -> None:
    images = random_images(4)
    estimator = NetworkPoseEstimator(network, flip_tta=True)
    found, other = estimator(["a"] * 4, images), estimator(["a"] * 4, images.flip(-1))
    left, right = KEYPOINT_NAMES.index("left_knee"), KEYPOINT_NAMES.index("right_knee")
    np.testing.assert_allclose(other.xy[:, left, 0], 1 - found.xy[:, right, 0], atol=1e-6)
    np.testing.assert_allclose(other.xy[:, left, 1], found.xy[:, right, 1], atol=1e-6)
    np.testing.assert_allclose(other.confidence[:, left], found.confidence[:, right], atol=1e-5)


def test_a_wrong_number_of_names_raises(network: PoseNetwork) -> None:
    with pytest.raises(ShapeError, match="got 2 names but 3 images"):
        NetworkPoseEstimator(network)(["a", "b"], random_images(3))


def test_a_saved_network_reloads(network: PoseNetwork, tmp_path: Path) -> None:
    save_pose_network(network, tmp_path, {"seed": 3})
    again = load_pose_network(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["seed"] == 3
    assert not again.training
    for name, value in again.state_dict().items():
        wanted = network.state_dict()[name]
        halved = wanted.half().float() if wanted.is_floating_point() and wanted.ndim > 1 else wanted
        assert torch.equal(value, halved), name
    a, b = (NetworkPoseEstimator(n)(["a"] * 4, random_images(4)) for n in (network, again))
    np.testing.assert_allclose(a.confidence, b.confidence, atol=0.02)


def test_a_folder_without_a_network_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no pose network"):
        load_pose_network(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "pose"}', '{"model": "pose", "size": 3}'])
def test_a_damaged_description_raises(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(WeightsError, match="is damaged"):
        load_pose_network(tmp_path)


def test_another_model_raises(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"model": "osnet_x0_25", "size": [256, 128]}')
    with pytest.raises(WeightsError, match="holds the model 'osnet_x0_25'"):
        load_pose_network(tmp_path)


def test_weights_of_another_width_raise(network: PoseNetwork, tmp_path: Path) -> None:
    save_pose_network(network, tmp_path, {"width": 8})
    with pytest.raises(WeightsError, match="does not fit"):
        load_pose_network(tmp_path)


# the shipped network

shipped = pytest.mark.skipif(not (SHIPPED / WEIGHTS).is_file(), reason="the shipped weights are not trained yet")


@shipped
def test_the_shipped_network_is_small() -> None:
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) <= 5_000_000
    assert sum(p.numel() for p in load_pose_network().parameters()) <= 2_000_000


@shipped
def test_the_shipped_network_finds_the_keypoints_of_new_people() -> None:
    """The people and cameras have another seed than those it was trained on; the bound is the project's."""
    assert json.loads((SHIPPED / "model.json").read_text())["people"]["seed"] != 99
    dataset = load("pedestrians", people=8, cameras=6, images=1, seed=99)
    people = read_pose_set(dataset.source, dataset.query, (128, 64))
    found = shipped_pose_estimator()([str(i) for i in range(len(people))], people.images)
    distances = keypoint_distances(torch.from_numpy(found.xy), people.keypoints, aspect=0.5)
    share, _ = pck(distances, people.confidence > 0, tolerance=0.05)
    assert share >= 0.85


def test_a_package_without_its_weights_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("passerby.models.keypoints.estimator.SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match="passerby train pose"):
        shipped_pose_estimator()


def test_other_weights_have_another_fingerprint() -> None:
    with torch.random.fork_rng():
        network = PoseNetwork(size=(32, 16))
    plain = NetworkPoseEstimator(network).fingerprint
    assert (
        NetworkPoseEstimator(network).fingerprint == plain != NetworkPoseEstimator(network, flip_tta=False).fingerprint
    )
    with torch.no_grad():
        next(network.parameters())[0] += 1
    assert NetworkPoseEstimator(network).fingerprint != plain
