"""A network gets images normalized as those that it was trained with, once, whatever calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import passerby
from passerby.config import with_overrides
from passerby.data.images.normalize import Normalization, normalize_images
from passerby.errors import ConfigError
from passerby.explain.images import ImageSet, view_samples
from passerby.inference.images import collect_images
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.checkpoint import save_model
from passerby.training.loop import train
from passerby.training.run import RunFolder

SIZE = (32, 16)
OPTIONS = {"backbone": "resnet18_half"}
PEOPLE = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, seed in (("a.png", 1), ("b.png", 2)):
        pixels = torch.randint(0, 100 * seed, (*SIZE, 3), generator=torch.Generator().manual_seed(seed))
        Image.fromarray(pixels.to(torch.uint8).numpy()).save(folder / name)
    return folder


def saved(folder: Path, normalization: Any) -> Path:
    folder.mkdir()
    torch.manual_seed(0)
    network = create_model("strong_baseline", num_classes=3, **OPTIONS)
    save_model(RunFolder(folder), network, options=OPTIONS, size=SIZE, normalization=normalization)
    return folder


def pixels_of(folder: Path) -> Tensor:
    arrays = [np.asarray(Image.open(folder / name)) for name in ("a.png", "b.png")]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("normalization", get_args(Normalization))
def test_embeddings_and_explanations_use_the_normalization_of_the_run(
    normalization: Normalization, images: Path, tmp_path: Path
) -> None:
    model = passerby.load(saved(tmp_path / "run", normalization), device="cpu")
    expected = normalize_images(pixels_of(images), normalization)
    assert model.normalization == normalization
    with torch.no_grad():
        assert torch.allclose(model.embed(images).embedding, model.network(expected).embedding, atol=1e-5)
    source, samples = collect_images(images)
    view = view_samples(model, ImageSet(source), samples)
    assert torch.allclose(view.inputs[0], expected, atol=1e-5)
    assert torch.allclose(view.make_inputs(view.pixels, [0, 1])[0], expected, atol=1e-5)


def test_embeddings_of_another_normalization_are_not_comparable(tmp_path: Path) -> None:
    prints = [passerby.load(saved(tmp_path / name, name)).fingerprint for name in get_args(Normalization)]
    assert len(set(prints)) == len(prints)
    before = json.loads((tmp_path / "imagenet" / "model.json").read_text())
    before.pop("normalization")  # a run of before
    (tmp_path / "imagenet" / "model.json").write_text(json.dumps(before))
    assert passerby.load(tmp_path / "imagenet").fingerprint == prints[0]


def test_an_unknown_normalization_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"normalization: .*got 'mean'"):
        passerby.load(saved(tmp_path / "run", "mean"))


def test_training_evaluation_and_the_run_agree(tmp_path: Path) -> None:
    changes = {
        "model.options": OPTIONS,
        "data.train": PEOPLE,
        "data.height": 64,
        "data.width": 32,
        "data.normalization": "image_mean",
        "sampler.p": 2,
        "sampler.k": 2,
        "epochs": 1,
        "schedule.warmup_epochs": 0,
    }
    trained = train(with_overrides(load_recipe("strong_baseline"), changes), tmp_path / "run", show_progress=False)
    assert trained is not None
    model = passerby.load(tmp_path / "run", device="cpu")
    assert model.normalization == "image_mean"
    again = model.evaluate(passerby.data.load(PEOPLE))
    assert again.mean_ap == pytest.approx(trained.mean_ap, abs=1e-6)
    wrong = passerby.Model(model.network, (64, 32)).evaluate(passerby.data.load(PEOPLE))
    assert wrong.embeddings[0].embedding.sub(again.embeddings[0].embedding).abs().max() > 1e-2  # type: ignore[index]
