"""Networks with heat maps: the maximum is the keypoint, whatever runs the network."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from passerby.data.keypoints.cache import CachedPoseEstimator, cached
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.source import DirectorySource
from passerby.errors import ConfigError, ShapeError, WeightsError
from passerby.models.keypoints.heatmaps import HeatmapPoseEstimator, fingerprint, heatmap_peaks, openvino_pose_estimator

WITHOUT = importlib.util.find_spec("openvino") is None


def test_the_maximum_is_the_keypoint() -> None:
    maps = torch.zeros(2, 3, 8, 4)
    maps[0, 0, 2, 1], maps[1, 2, 6, 2] = 0.7, 1.4
    keypoints, confidence = heatmap_peaks(maps)
    assert keypoints.shape == (2, 3, 2)
    assert keypoints[0, 0] == pytest.approx([1.5 / 4, 2.5 / 8], abs=0.5 / 8)
    assert keypoints[1, 2] == pytest.approx([2.5 / 4, 6.5 / 8], abs=0.5 / 8)
    assert confidence[0, 0] == pytest.approx(0.7, abs=0.1)
    assert confidence[1, 2] == 1  # never more
    assert confidence[0, 1] == 0


def test_an_image_is_given_as_bgr_of_the_networks_size() -> None:
    seen = []

    def run(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        maps = np.zeros((len(images), 19, 4, 2), np.float32)
        maps[:, 18] = 1  # the background, which is not a keypoint
        maps[:, 3, 1, 1] = 0.5
        return maps

    images = torch.zeros(3, 3, 16, 8, dtype=torch.uint8)
    images[:, 0] = 200  # red
    estimator: PoseEstimator = HeatmapPoseEstimator(run, size=(32, 16), batch_size=2)
    found = estimator(["a", "b", "c"], images)
    assert [s.shape for s in seen] == [(2, 3, 32, 16), (1, 3, 32, 16)]
    assert np.allclose(seen[0][:, 2], 200, atol=0.01)
    assert np.allclose(seen[0][:, :2], 0, atol=0.01)
    assert (found.xy.shape, found.confidence.shape) == ((3, 18, 2), (3, 18))
    assert (found.confidence.argmax(1) == 3).all()


def test_no_images_have_no_keypoints() -> None:
    found = HeatmapPoseEstimator(lambda images: images, size=(32, 16))([], torch.zeros(0, 3, 8, 8, dtype=torch.uint8))
    assert (found.xy.shape, found.confidence.shape) == ((0, 18, 2), (0, 18))


def test_too_few_maps_raise() -> None:
    estimator = HeatmapPoseEstimator(lambda images: np.zeros((len(images), 17, 4, 2), np.float32), size=(32, 16))
    with pytest.raises(ShapeError, match=r"gave \(1, 17, 4, 2\)"):
        estimator(["a"], torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_a_wrong_number_of_names_raises() -> None:
    with pytest.raises(ShapeError, match="got 1 names but 2 images"):
        HeatmapPoseEstimator(lambda images: images, size=(32, 16))(["a"], torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder / names[0]


@pytest.mark.parametrize("names", [("net.xml", "net.bin"), ("net.onnx", "net.onnx.data")])
def test_other_networks_have_another_fingerprint(tmp_path: Path, names: tuple[str, str]) -> None:
    network = files(tmp_path, *names)
    plain = fingerprint(network)
    files(tmp_path, "notes.txt", "other.xml", "other.bin")
    assert fingerprint(str(network)) == plain != fingerprint(network, size=(128, 64))
    moved = shutil.copytree(tmp_path, tmp_path / "elsewhere") / names[0]
    assert fingerprint(moved) == plain
    for name in names:
        before = fingerprint(network)
        (tmp_path / name).write_bytes(b"other weights")
        assert fingerprint(network) != before
    with pytest.raises(WeightsError, match="no network at"):
        fingerprint(tmp_path / "nothing.onnx")


def test_keypoints_of_openvino_are_cached_by_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenVINO itself is an optional extra: a stand-in has one network with one output."""
    maps = SimpleNamespace(partial_shape=(1, 19, 4, 2))
    network = SimpleNamespace(reshape=lambda shape: None)
    compiled = type("Compiled", (), {"outputs": [maps], "__call__": lambda _, images: {maps: images}})()
    core = SimpleNamespace(read_model=lambda path: network, compile_model=lambda model, device: compiled)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=lambda: core))
    file = files(tmp_path, "net.xml", "net.bin")
    estimator = openvino_pose_estimator(file, size=(32, 16))
    assert estimator.fingerprint == fingerprint(file, size=(32, 16))
    kept = cached(estimator, DirectorySource(tmp_path))
    assert isinstance(kept, CachedPoseEstimator)
    assert kept.by_pixels
    assert estimator.fingerprint[:16] in kept.file.name
    nameless = HeatmapPoseEstimator(lambda images: images, size=(32, 16))
    assert cached(nameless, DirectorySource(tmp_path)) is nameless


@pytest.mark.skipif(not WITHOUT, reason="openvino is installed")
def test_without_openvino_the_error_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"passerby\[openvino\]"):
        openvino_pose_estimator(tmp_path / "a.xml")


@pytest.mark.skipif(WITHOUT, reason="openvino, an optional extra, is not installed")
def test_a_file_that_is_not_a_network_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no network at"):
        openvino_pose_estimator(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(WeightsError, match="cannot be run"):
        openvino_pose_estimator(tmp_path / "a.xml")


@pytest.mark.skipif(WITHOUT, reason="openvino, an optional extra, is not installed")
def test_openvinos_own_network_runs(shared: Path) -> None:
    found = sorted((shared / "weights" / "openpose18").rglob("human-pose-estimation-0001.xml"))
    if not found:
        pytest.skip("the network is absent")
    keypoints = openvino_pose_estimator(found[0], size=(128, 64))(["a"], torch.zeros(1, 3, 128, 64, dtype=torch.uint8))
    assert keypoints.xy.shape == (1, 18, 2)
    assert (keypoints.confidence < 0.1).all()  # a black image shows no person
