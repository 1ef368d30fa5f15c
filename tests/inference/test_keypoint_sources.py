"""Keypoint sources: the dataset, the shipped network (with a warning), annotations, a user's network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.data.keypoints.estimator import AnnotatedKeypoints
from passerby.data.registry import load
from passerby.data.source import DirectorySource, Source
from passerby.errors import DatasetLayoutError, WeightsError
from passerby.inference import keypoint_source as parts
from passerby.inference.keypoint_source import describe_keypoints, part_maker, pose_estimator
from passerby.models.keypoints.estimator import NetworkPoseEstimator, save_pose_network
from passerby.models.keypoints.network import PoseNetwork


@pytest.fixture
def photographs(tmp_path: Path, draw_people: Callable[..., Path]) -> Source:
    """Images without keypoints."""
    folder = draw_people(tmp_path / "data", people=2, cameras=1, images=1, size=(32, 16), preset="easy")
    (folder / "keypoints.json").unlink()
    return DirectorySource(folder)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_pose_network(PoseNetwork(size=(32, 16), width=2), tmp_path / "run", {})
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch, network: Path) -> Iterator[None]:
    """A tiny network in the shipped one's place."""
    monkeypatch.setattr("passerby.models.keypoints.estimator.SHIPPED", network)
    parts._shipped.cache_clear()
    parts._warn_network_keypoints.cache_clear()
    yield
    parts._shipped.cache_clear()


def test_a_sets_own_keypoints_come_first(caplog: pytest.LogCaptureFixture) -> None:
    source = load("pedestrians:people=2,cameras=1,images=1,size=32x16,preset=easy").source
    assert isinstance(pose_estimator("auto", source), AnnotatedKeypoints)
    assert describe_keypoints("auto", source) == "the dataset's own"
    assert not caplog.records
    assert isinstance(pose_estimator("network", source), NetworkPoseEstimator)


def test_the_network_is_the_fallback_with_one_warning(photographs: Source, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert isinstance(pose_estimator("auto", photographs), NetworkPoseEstimator)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING  # which Python prints by itself
    assert str(photographs.root) in record.getMessage()
    assert "no keypoints of its own" in record.getMessage()
    assert describe_keypoints("auto", photographs).startswith("found by the pose network")


def test_a_network_that_was_asked_for_needs_no_warning(photographs: Source, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(pose_estimator("network", photographs), NetworkPoseEstimator)
    assert not caplog.records


def test_own_keypoints_are_not_replaced(photographs: Source) -> None:
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json"):
        pose_estimator("own", photographs)


def test_damaged_keypoints_are_not_replaced(photographs: Source) -> None:
    (photographs.root / "keypoints.json").write_text("{")
    with pytest.raises(DatasetLayoutError, match="COCO"):
        pose_estimator("auto", photographs)


def test_a_users_network_is_the_folder_of_its_run(photographs: Source, network: Path) -> None:
    images = torch.randint(256, (2, 3, 32, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    maker = part_maker(photographs, size=(32, 16), keypoints=str(network))
    assert isinstance(pose_estimator(str(network), photographs), NetworkPoseEstimator)
    assert len(maker.rectangles(["a", "b"], images).regions) == 2
    found, again = pose_estimator(str(network), photographs), pose_estimator("network", photographs)
    np.testing.assert_array_equal(found(["a", "b"], images).xy, again(["a", "b"], images).xy)


def test_a_users_network_that_is_still_trained_is_named_as_such(photographs: Source, network: Path) -> None:
    """It had been taken for a folder of body points."""
    (network / "model.json").rename(network / "config.json")
    with pytest.raises(WeightsError, match=rf"unfinished run \(no model\.json\).*passerby train --resume {network}"):
        pose_estimator(str(network), photographs)


@pytest.mark.parametrize("name", ["network.xml", "network.onnx"])
def test_a_users_network_may_be_a_file(photographs: Source, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("passerby.inference.keypoint_source.openvino_pose_estimator", asked.append)
    pose_estimator(name, photographs)
    assert asked == [Path(name)]


def test_a_source_knows_what_it_has(photographs: Source) -> None:
    assert photographs.has("settings.json")
    assert not photographs.has("keypoints.json")
    assert not DirectorySource(Path("/")).has("keypoints.json")  # at once: the disk is not walked
