"""AANet's loss in the training loop: attributes reach it, its weights are learned, saved and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from passerby.errors import ConfigError, DatasetLayoutError
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig, with_overrides
from passerby.training.loop import train

PEOPLE = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"


def config(**changes: object) -> TrainConfig:
    tree = {
        "model.name": "aanet",
        "model.options": {"trunk": "resnet18_half"},
        "data.train": PEOPLE,
        "data.height": 64,
        "data.width": 32,
        "sampler.p": 2,
        "sampler.k": 2,
        "loss": {"name": "multitask"},
        "epochs": 2,
        **changes,
    }
    return with_overrides(load_recipe("strong_baseline"), tree)


def parts(run: Path) -> list[dict[str, float]]:
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{task: entry[task] for task in ("global", "parts", "attributes", "attention")} for entry in log]


def test_four_tasks_are_trained_and_their_weights_are_resumed(tmp_path: Path) -> None:
    train(config(), tmp_path / "whole", show_progress=False)
    train(config(epochs=1), tmp_path / "cut", show_progress=False)
    half = tmp_path / "cut" / "config.json"
    half.write_text(json.dumps(json.loads(half.read_text()) | {"epochs": 2}))
    train(None, tmp_path / "cut", resume=True, show_progress=False)
    assert parts(tmp_path / "cut") == parts(tmp_path / "whole")


def test_attributes_of_other_people_are_refused(tmp_path: Path) -> None:
    (tmp_path / "others.csv").write_text("pid,hat\n901,yes\n902,no\n")
    with pytest.raises(DatasetLayoutError, match="describes none of"):
        train(config(**{"data.attributes": str(tmp_path / "others.csv")}), tmp_path / "run", show_progress=False)


def test_a_model_without_attributes_cannot_learn_them(tmp_path: Path) -> None:
    plain = {"model.name": "strong_baseline"}
    with pytest.raises(ConfigError, match="strong_baseline predicts no attributes"):
        train(config(**plain), tmp_path / "run", show_progress=False)


def test_tasks_without_attributes_need_none(tmp_path: Path) -> None:
    options = {"trunk": "resnet18_half", "attributes": False, "attention_map": False}
    loss = {"name": "multitask", "tasks": ["global", "parts"], "uncertainty": False}
    train(config(loss=loss, epochs=1, **{"model.options": options}), tmp_path / "run", show_progress=False)
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(first["global"] + first["parts"], rel=1e-5)
    assert torch.tensor(first["loss"]).isfinite()
