"""``passerby train attention_driven_imagenet``: folders of classes from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL = {
    "data.height": 32,
    "data.width": 16,
    "sampler.p": 6,
    "epochs": 1,
    "model.options.width": 0.25,
    "model.options.intra": "false",
    "model.options.branches": '["global"]',
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("classes") / "train", np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(random.integers(0, 255, (32, 16, 3), dtype=np.uint8)).save(root / name / f"{number}.png")
    return root


def words(*data: str) -> list[str]:
    return ["train", "attention_driven_imagenet", *data, *(w for k, v in SMALL.items() for w in ("--set", f"{k}={v}"))]


@pytest.mark.usefixtures("_no_shape_checker")
def test_top_1_is_printed_and_again_when_resumed(run, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run(*words("--data", str(images), "--test-data", str(images)), "--run", folder)
    assert (done.code, done.err) == (0, "")
    result = json.loads((folder / "classification.json").read_text())
    line = f"Top-1 {result['top1']:.1%} of 6 images of 3 classes."
    assert line in done.out
    assert line in run("train", "--resume", folder).out
    assert run("report", folder, "-o", tmp_path / "report.html").code == 0
    assert "the run does not name its test data" in (tmp_path / "report.html").read_text()


def test_splits_are_refused_in_one_line(run, images: Path, tmp_path: Path) -> None:
    done = run(*words("--data", str(images.parent)), "--run", tmp_path / "run")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "are splits, not classes (train). Fix: give the folder 'train' itself" in done.err
    assert not (tmp_path / "run").exists()
