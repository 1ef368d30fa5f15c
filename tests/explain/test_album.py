"""What figures show of pictures, and what a model was shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.pedestrians.dataset import open_pedestrians
from passerby.data.registry import load as load_dataset
from passerby.data.source import DirectorySource
from passerby.evaluation.predictor import Predictor
from passerby.explain.album import Album, look
from passerby.explain.overlay import enlarged, heated
from passerby.explain.privacy import HEAD, NECK, UPPER, blurred, head_box, is_synthetic
from passerby.models.registry import create_model
from passerby.types import Sample


def noise(width: int = 32, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noise().save(tmp_path / "a.png")
    return tmp_path


def test_heads_of_people_who_may_exist_are_blurred(folder: Path) -> None:
    before, after = np.asarray(noise(), float), np.asarray(Album(DirectorySource(folder)).image("a.png"), float)
    edge = round(UPPER * 64)
    assert np.array_equal(before[edge:], after[edge:])
    assert np.abs(np.diff(after[:edge], axis=1)).mean() < np.abs(np.diff(before[:edge], axis=1)).mean() / 10


def test_unless_that_is_asked_for_which_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert np.array_equal(np.asarray(Album(DirectorySource(folder), blur=False).image("a.png")), np.asarray(noise()))
    assert "faces" in caplog.text


def test_people_who_do_not_exist_need_no_blur(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    written = DirectorySource(draw_people(tmp_path / "people", people=2))
    assert is_synthetic(written)
    assert is_synthetic(open_pedestrians("people=2", cache=None))
    assert not Album(written).blurs
    assert Album(written, blur=True).blurs


@pytest.mark.parametrize("content", ["[]", "{}", '{"people": 3}', "not JSON"])
def test_other_settings_prove_nothing(folder: Path, content: str) -> None:
    (folder / "settings.json").write_text(content)
    assert not is_synthetic(DirectorySource(folder))
    (folder / "settings.json").write_text(json.dumps(["people"]))
    assert not is_synthetic(DirectorySource(folder))


def test_loose_pictures_of_a_written_set_prove_who_they_show(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    root = draw_people(tmp_path / "people", people=2)
    assert is_synthetic(DirectorySource(root / "query"))
    noise().save(root / "query" / "photo.jpg")
    assert not is_synthetic(DirectorySource(root / "query"))  # who this is, nobody knows
    (root / "mine").mkdir()
    assert not is_synthetic(DirectorySource(root / "mine"))
    shutil.copy(next((root / "bounding_box_test").glob("*.jpg")), root / "mine")
    assert not is_synthetic(DirectorySource(root / "mine"))  # not where the set has it
    settings = json.loads((root / "settings.json").read_text())
    (root / "settings.json").write_text(json.dumps({**settings, "size": 3}))
    assert not is_synthetic(DirectorySource(root / "bounding_box_test"))


def test_the_head_is_where_its_joints_are() -> None:
    joints, confidence = np.zeros((18, 2), np.float32), np.zeros(18, np.float32)
    joints[list(HEAD)] = [[0.5, 0.12], [0.48, 0.1], [0.52, 0.1], [0.45, 0.11], [0.55, 0.11]]
    joints[NECK] = 0.5, 0.2
    confidence[[*HEAD, NECK]] = 1
    left, top, right, bottom = head_box((100, 200), joints, confidence)
    assert 0 <= top < 20 < 40 == bottom
    assert 20 < left < 45 < 55 < right < 80
    confidence[NECK] = 0
    assert head_box((100, 200), joints, confidence) == (0, 0, 100, 48)


def test_a_blurred_head_keeps_its_size() -> None:
    assert blurred(noise(), (3, 0, 20, 11)).size == (32, 64)


def test_a_model_sees_the_sharp_picture(folder: Path) -> None:
    model = create_model("aap_reid", num_classes=2, trunk="resnet18").eval()
    predictor = Predictor(model, (64, 32))
    seen = look(predictor, Album(DirectorySource(folder)), [Sample(path="a.png")])
    embedded = predictor.embed_samples(DirectorySource(folder), [Sample(path="a.png")])
    assert torch.allclose(seen.output.embedding, embedded.features, atol=1e-5)
    assert seen.shown[0].size == (32, 64)
    assert not np.array_equal(np.asarray(seen.shown[0]), np.asarray(noise()))


def test_parts_are_cut_as_for_embedding(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load_dataset(f"market1501:{draw_people(tmp_path / 'people', people=2)}")
    predictor = Predictor(create_model("attention_driven", num_classes=2, width=0.125).eval(), (96, 48))
    samples = dataset.query[:2]
    seen = look(predictor, Album(dataset.source), samples)
    assert torch.allclose(seen.output.embedding, predictor.embed_samples(dataset.source, samples).features, atol=1e-4)
    assert [len(parts) for parts in seen.parts] == [4, 4]
    assert seen.parts[0][0].size == (48, 24)


def test_a_map_is_as_large_as_its_picture() -> None:
    values = torch.zeros(4, 2)
    values[0] = 1
    shades = np.asarray(heated(noise(), values, alpha=1).convert("L"), float)
    assert shades.shape == (64, 32)
    assert shades[:8].min() > shades[40:].max()
    assert enlarged(values[None], (64, 32)).shape == (1, 64, 32)
