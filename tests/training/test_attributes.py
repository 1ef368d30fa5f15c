"""AANet's loss in the training loop: attributes reach it, its weights are learned, saved and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from passerby.config import with_overrides
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig
from passerby.training.loop import train

PEOPLE = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"


def config(**changes: object) -> TrainConfig:
    tree = {
        "model.name": "aanet",
        "model.options": {"backbone": "resnet18_half"},
        "data.train": PEOPLE,
        "data.height": 64,
        "data.width": 32,
        "sampler.p": 2,
        "sampler.k": 2,
        "loss": {"name": "multitask"},
        "epochs": 2,
        "schedule.warmup_epochs": 0,
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


def test_data_without_attributes_names_the_setting(tmp_path: Path) -> None:
    for pid in range(1, 5):
        for camera in (1, 2):
            path = tmp_path / "market" / "bounding_box_train" / f"{pid:04}_c{camera}s1_000000_00.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 64), (40 * pid, 80, 30 * camera)).save(path)
    fix = r"'.*market' has no file of attributes; expected one .*\. Fix: .*--set data\.attributes=FILE"
    with pytest.raises(DatasetLayoutError, match=fix):
        train(config(**{"data.train": str(tmp_path / "market")}), tmp_path / "run", show_progress=False)


def test_attributes_of_other_people_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "others.csv").write_text("pid,hat\n901,yes\n902,no\n")
    with pytest.raises(DatasetLayoutError, match="describes none of"):
        train(config(**{"data.attributes": str(tmp_path / "others.csv")}), tmp_path / "run", show_progress=False)


def test_a_model_without_attributes_cannot_learn_them(tmp_path: Path) -> None:
    plain = {"model.name": "strong_baseline"}
    with pytest.raises(ConfigError, match="strong_baseline predicts no attributes"):
        train(config(**plain), tmp_path / "run", show_progress=False)


def test_tasks_without_attributes_need_none(tmp_path: Path) -> None:
    options = {"backbone": "resnet18_half", "attributes": False, "attention_map": False}
    loss = {"name": "multitask", "tasks": ["global", "parts"], "uncertainty": False}
    train(config(loss=loss, epochs=1, **{"model.options": options}), tmp_path / "run", show_progress=False)
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(first["global"] + first["parts"], rel=1e-5)
    assert torch.tensor(first["loss"]).isfinite()


def measured(run: Path, **changes: object) -> dict[str, object] | None:
    """What the run's evaluation says of attributes; one short epoch."""
    train(config(epochs=1, **changes), run, show_progress=False)
    metrics = json.loads((run / "metrics.json").read_text())
    found: dict[str, object] | None = metrics.get("attributes")
    return found


def test_the_last_evaluation_measures_attributes(tmp_path: Path) -> None:
    found = measured(tmp_path / "run")
    assert found is not None
    assert found["schema"] == "Market-1501"
    assert set(found["mean"]) == {"accuracy", "balanced", "majority_accuracy"}
    bare = {"backbone": "resnet18_half", "attributes": False, "attention_map": False}
    loss = {"name": "multitask", "tasks": ["global", "parts"]}
    assert measured(tmp_path / "bare", loss=loss, **{"model.options": bare}) is None


def test_attributes_of_training_people_alone_are_enough_to_train(tmp_path: Path) -> None:
    rows = [f"{pid},{'yes' if pid % 2 else 'no'}" for pid in range(1, 5)]
    (tmp_path / "train.csv").write_text("\n".join(["pid,hat,hair_length", *(f"{row},short" for row in rows)]) + "\n")
    assert measured(tmp_path / "run", **{"data.attributes": str(tmp_path / "train.csv")}) is None


def test_other_test_people_are_described_where_it_is_said(tmp_path: Path) -> None:
    other = PEOPLE.replace("people=8", "people=12")
    assert measured(tmp_path / "silent", **{"data.test": other}) is None, "pids of one set are not those of another"
    found = measured(tmp_path / "said", **{"data.test": other, "data.test_attributes": other})
    assert found is not None
    assert found["groups"]["hat"]["images"] == 12, "six people seen twice, not four"
    (tmp_path / "others.csv").write_text("pid,hat,hair_length\n901,yes,short\n")
    with pytest.raises(DatasetLayoutError, match="describes none of"):
        measured(tmp_path / "no", **{"data.test": other, "data.test_attributes": str(tmp_path / "others.csv")})
    assert not (tmp_path / "no").exists(), "rejected before the training"
