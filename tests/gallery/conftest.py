"""A model with fresh weights and a folder of blobs: an image is nearest to itself, whatever the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from passerby.inference.model import Model
from passerby.models.registry import create_model


def blobs(seed: int, size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Return a smooth random image, (height, width)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)


def make_model(seed: int) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model("osnet_x0_25", num_classes=3)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.momentum = None
        model(nn.functional.interpolate(torch.randn(16, 3, 4, 2), (64, 32)))  # or all embeddings were nearly equal
        return Model(model, (64, 32))


@pytest.fixture(scope="session")
def model() -> Model:
    return make_model(0)


@pytest.fixture(scope="session")
def other_model() -> Model:
    return make_model(1)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six unlabeled images, one of them below a folder of its own, and a stray file."""
    folder = tmp_path / "people"
    (folder / "more").mkdir(parents=True)
    for i in range(5):
        blobs(i).save(folder / f"{i}.png")
    blobs(5).save(folder / "more" / "5.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """A miniature Market-1501: two people in training, two in the test; a distractor and junk in the gallery."""
    root = tmp_path / "mini-market"
    names = {
        "bounding_box_train": [
            "0002_c1s1_000001_00", "0002_c2s1_000002_00", "0007_c1s1_000003_00", "0007_c2s1_000004_00",
        ],
        "query": ["0001_c1s1_000010_00", "0003_c2s1_000011_00"],
        "bounding_box_test": [
            "0000_c1s1_000020_00", "-1_c1s1_000021_00", "0001_c2s1_000022_00", "0001_c3s1_000023_00",
            "0003_c1s1_000024_00",
        ],
    }  # fmt: skip
    for folder, files in names.items():
        (root / folder).mkdir(parents=True)
        for name in files:
            frame = int(name.split("_")[-2])
            blobs(frame).save(root / folder / f"{name}.jpg", quality=95)
    return root
