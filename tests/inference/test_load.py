"""Loading a run: what it imports, and what decides the options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from passerby.errors import ConfigError, UnknownNameError
from passerby.inference.load import load
from passerby.inference.options import InferenceOptions
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

HEAVY = ("scipy", "sklearn", "kornia", "matplotlib", "pytorch_metric_learning", "accelerate", "tensorboard", "h5py")
"""Packages that training, figures or some datasets need, and embedding does not."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    options = {"backbone": "resnet18_half"}
    network = create_model("strong_baseline", num_classes=3, **options)
    evaluation = {"flip_tta": True, "normalize": None, "draws": 2, "seed": 5}
    save_model(RunFolder(folder), network, options=options, size=(64, 32), evaluation=evaluation)
    return folder


def test_loading_imports_only_what_embedding_needs(run: Path) -> None:
    program = (
        "import sys, passerby; assert 'torch' not in sys.modules, 'import passerby alone is quick';"
        f"model = passerby.load({str(run)!r}, device='cpu');"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]; assert not heavy, heavy;"
        "above = [name for name in sys.modules if name.startswith(('passerby.evaluation', 'passerby.synthetic',"
        " 'passerby.training', 'passerby.figures', 'passerby.gallery'))]; assert not above, above"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_run_decides_what_the_options_leave_open(run: Path) -> None:
    model = load(run)
    assert (model.options.flip_tta, model.options.normalize, model.draws, model.seed) == (True, True, 2, 5)
    assert model.size == (64, 32)
    assert model.backbone == "resnet18_half"
    asked = load(run, InferenceOptions(batch_size=8, normalize=False), flip_tta=False, device="cpu")
    assert asked.options == InferenceOptions(
        device="cpu", batch_size=8, flip_tta=False, normalize=False, keypoints="auto"
    )
    assert load(run, device=None, batch_size=None).options == model.options


def test_unknown_and_impossible_options_are_errors(run: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown inference option 'batch'\. Did you mean batch_size"):
        load(run, batch=3)
    with pytest.raises(ConfigError, match="device 'cuda:99' cannot be used"):
        load(run, device="cuda:99")
    with pytest.raises(ConfigError, match="strong_baseline sees no body parts"):
        load(run, keypoints="own")


def test_a_model_of_before_has_the_default_options(run: Path) -> None:
    description = json.loads((run / "model.json").read_text())
    del description["evaluation"]
    (run / "model.json").write_text(json.dumps(description))
    assert (load(run).options.flip_tta, load(run).draws) == (False, None)


def test_a_run_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nope' does not exist"):
        load(tmp_path / "nope")
