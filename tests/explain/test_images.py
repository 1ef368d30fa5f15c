"""The images of figures, with heads blurred, and the inputs of a model."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from passerby.data.images.blur_faces import HEAD, NECK, UNSURE, UPPER, blur_box, head_box
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.in_pixels import keypoints_in_pixels
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES, VISIBLE
from passerby.data.registry import load as load_dataset
from passerby.data.source import DirectorySource, open_source
from passerby.explain.images import ImageSet, view_samples
from passerby.explain.upsample import upsample_maps
from passerby.figures.overlay import overlay_heatmap
from passerby.inference.model import Model
from passerby.models.registry import create_model
from passerby.synthetic.dataset import open_pedestrians
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.settings import Settings
from passerby.types import Sample


def noise(width: int = 32, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noise().save(tmp_path / "a.png")
    return tmp_path


def keypoints_at(heights: dict[str, float], confidence: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return 18 keypoints in the middle of an image, named ones at their heights."""
    keypoints = np.full((18, 2), 0.5, np.float32)
    for name, height in heights.items():
        keypoints[list(HEAD) if name == "head" else KEYPOINT_NAMES.index(name), 1] = height
    return keypoints, np.full(18, confidence, np.float32)


class Knows:
    """A pose estimator with the same keypoints for every image."""

    def __init__(self, keypoints: NDArray[np.float32], confidence: NDArray[np.float32]) -> None:
        self.keypoints, self.asked = Keypoints(keypoints[None], confidence[None]), 0

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        assert len(names) == len(images) == 1
        self.asked += 1
        return self.keypoints


def test_heads_of_real_people_are_blurred_over_the_whole_width(folder: Path) -> None:
    knows = Knows(*keypoints_at({"head": 0.1, "neck": 0.2}))
    images = ImageSet(DirectorySource(folder), keypoints=knows)
    before, after = np.asarray(noise(), float), np.asarray(images.image("a.png"), float)
    edge = round(UPPER * 64)
    assert np.array_equal(before[edge:], after[edge:])
    assert np.abs(np.diff(after[:edge], axis=1)).mean() < np.abs(np.diff(before[:edge], axis=1)).mean() / 10
    assert np.array_equal(np.asarray(images.image("a.png")), after)
    assert knows.asked == 1  # the box is kept for the second time


def test_without_a_visible_person_everything_is_blurred(folder: Path) -> None:
    before, after = (np.asarray(image, float) for image in (noise(), ImageSet(DirectorySource(folder)).image("a.png")))
    assert np.abs(np.diff(after, axis=1)).mean() < np.abs(np.diff(before, axis=1)).mean() / 10


def test_the_pose_network_finds_heads_by_default(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    root = draw_people(tmp_path / "people", people=4, cameras=2, images=2, size=(128, 64))
    known = list(keypoints_in_pixels(DirectorySource(root)).items())[::3]
    (root / "settings.json").unlink()  # now they may exist
    source, shown = DirectorySource(root), 0
    images = ImageSet(source)
    for name, pose in known:
        sharp, blurred = (np.asarray(each.image(name), float) for each in (ImageSet(source, blur=False), images))
        same = np.flatnonzero((sharp == blurred).all(axis=(1, 2)))  # rows
        top = same.min() if len(same) else 128
        seen = [keypoint for keypoint in HEAD if pose.visibility[keypoint] == VISIBLE]
        assert all(pose.xy[keypoint, 1] < top for keypoint in seen)
        shown += top < UNSURE * 128
    assert shown > len(known) / 2


def test_synthetic_images_need_no_pose_network(
    draw_people: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.explain.images.pose_estimator", None)
    source = DirectorySource(draw_people(tmp_path / "people", people=2))
    name = next(name for name in source.names() if name.endswith(".jpg"))
    sharp, blurred = (np.asarray(ImageSet(source, blur=blur).image(name)) for blur in (None, True))
    edge = round(UPPER * len(sharp))
    assert not np.array_equal(sharp[:edge], blurred[:edge])
    assert np.array_equal(sharp[edge:], blurred[edge:])


def test_unblurred_images_are_warned_about(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert np.array_equal(np.asarray(ImageSet(DirectorySource(folder), blur=False).image("a.png")), np.asarray(noise()))
    assert "faces" in caplog.text


def test_synthetic_images_need_no_blur(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    written = DirectorySource(draw_people(tmp_path / "people", people=2))
    assert written.is_synthetic
    assert open_pedestrians("people=2", cache=None).is_synthetic
    with zipfile.ZipFile(tmp_path / "people.zip", "w") as archive:
        for name in written.names():
            archive.write(written.root / name, name)
    assert open_source(tmp_path / "people.zip").is_synthetic
    masked = write_pedestrians(tmp_path / "masked", Settings(people=2, cameras=2, images=2, size=(32, 16)), masks=True)
    assert DirectorySource(masked).is_synthetic
    assert DirectorySource(masked / "masks").is_synthetic
    assert not ImageSet(written).blurs
    assert ImageSet(written, blur=True).blurs


@pytest.mark.parametrize("content", ["[]", "{}", '{"people": 3}', "not JSON"])
def test_other_settings_prove_nothing(folder: Path, content: str) -> None:
    (folder / "settings.json").write_text(content)
    assert not DirectorySource(folder).is_synthetic
    (folder / "settings.json").write_text(json.dumps(["people"]))
    assert not DirectorySource(folder).is_synthetic


def test_loose_images_of_an_exported_set_are_synthetic(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    root = draw_people(tmp_path / "people", people=2)
    assert DirectorySource(root / "query").is_synthetic
    noise().save(root / "query" / "photo.jpg")
    assert not DirectorySource(root / "query").is_synthetic  # an unknown photo
    (root / "mine").mkdir()
    assert not DirectorySource(root / "mine").is_synthetic
    shutil.copy(next((root / "bounding_box_test").glob("*.jpg")), root / "mine")
    assert not DirectorySource(root / "mine").is_synthetic  # not where the set has it
    assert not DirectorySource(root).is_synthetic  # neither is what holds it
    with zipfile.ZipFile(tmp_path / "people.zip", "w") as archive:
        for name in DirectorySource(root).names():
            archive.write(root / name, name)
    assert not open_source(tmp_path / "people.zip").is_synthetic
    settings = json.loads((root / "settings.json").read_text())
    (root / "settings.json").write_text(json.dumps({**settings, "size": 3}))
    assert not DirectorySource(root / "bounding_box_test").is_synthetic


def test_what_is_covered_ends_below_the_head() -> None:
    assert head_box((100, 200)) == (0, 0, 100, 60)
    assert head_box((100, 200), *keypoints_at({"head": 0.1, "neck": 0.2})) == (0, 0, 100, 60)
    assert head_box((100, 200), *keypoints_at({"head": 0.4, "neck": 0.5})) == (0, 0, 100, 112)  # 0.5 + 0.6 × 0.1


def test_a_bent_person_has_the_head_below_the_neck() -> None:
    bent = head_box((100, 200), *keypoints_at({"head": 0.45, "neck": 0.3}))
    assert bent == (0, 0, 100, 108)  # 0.45 + 0.6 × 0.15


@pytest.mark.parametrize("unsure", ["head", "neck"])
def test_most_is_covered_where_the_head_is_not_surely_found(unsure: str) -> None:
    keypoints, confidence = keypoints_at({"head": 0.1, "neck": 0.2})
    confidence[list(HEAD) if unsure == "head" else NECK] = 0.6
    assert head_box((100, 200), keypoints, confidence) == (0, 0, 100, round(UNSURE * 200))
    assert head_box((100, 200), keypoints, 0.4 * confidence) == (0, 0, 100, 200)


def test_a_blurred_head_keeps_its_size() -> None:
    assert blur_box(noise(), (3, 0, 20, 11)).size == (32, 64)


def test_a_model_receives_the_sharp_image(folder: Path) -> None:
    model = create_model("aap_reid", num_classes=2, backbone="resnet18_half").eval()
    predictor = Model(model, (64, 32))
    seen = view_samples(predictor, ImageSet(DirectorySource(folder)), [Sample(path="a.png")])
    embedded = predictor.embed_samples(DirectorySource(folder), [Sample(path="a.png")])
    assert torch.allclose(seen.output.embedding, embedded.embedding, atol=1e-5)
    assert seen.input_images[0].size == (32, 64)
    assert not np.array_equal(np.asarray(seen.input_images[0]), np.asarray(noise()))


def test_parts_are_cut_as_for_embedding(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load_dataset(f"market1501:{draw_people(tmp_path / 'people', people=2)}")
    model = Model(create_model("attention_driven", num_classes=2, width=0.125).eval(), (96, 48))
    samples = dataset.query[:2]
    seen = view_samples(model, ImageSet(dataset.source), samples)
    assert torch.allclose(seen.output.embedding, model.embed_samples(dataset.source, samples).embedding, atol=1e-4)
    assert [len(parts) for parts in seen.part_images] == [4, 4]
    assert seen.part_images[0][0].size == (48, 24)


def test_a_map_is_as_large_as_its_image() -> None:
    values = torch.zeros(4, 2)
    values[0] = 1
    shades = np.asarray(overlay_heatmap(noise(), values, alpha=1).convert("L"), float)
    assert shades.shape == (64, 32)
    assert shades[:8].min() > shades[40:].max()
    assert upsample_maps(values[None], (64, 32)).shape == (1, 64, 32)
