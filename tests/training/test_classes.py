"""The ImageNet stage: it trains on folders of classes, resumes exactly, streams, and starts every row of the tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import passerby.data.loader as loader_module
from passerby.config import with_overrides
from passerby.data.images.decode import read_image
from passerby.data.sampler import create_sampler
from passerby.errors import ConfigError, PasserbyError, WeightsError
from passerby.models.attention_driven.model import BRANCHES
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.recipes.tables import Table, load_table, options
from passerby.training.classes import RESULT, ClassResult, train_classes
from passerby.training.config import TrainConfig
from passerby.training.initial import load_backbone_weights
from passerby.training.loop import train
from passerby.training.run import RunFolder

CLASSES, IMAGES = ("green", "red", "stripes"), 4
WIDTH = 0.25


def draw(root: Path, *, seed: int) -> Path:
    """Write images of three classes that are easily told apart."""
    random = np.random.default_rng(seed)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(IMAGES):
            image = random.integers(0, 60, (64, 32, 3), dtype=np.uint8)
            if name == "stripes":
                image[::8] = 255
            else:
                image[..., 0 if name == "red" else 1] += 180
            Image.fromarray(image).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("classes") / "train", seed=0)


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("classes") / "val", seed=1)


def stage(images: Path, **changes: Any) -> TrainConfig:
    """The recipe, small and with two branches."""
    small = {
        "data.train": str(images), "data.height": 32, "data.width": 16, "model.options.width": WIDTH, "sampler.p": 4,
        "epochs": 2, "schedule.milestones": (1,), **options(intra=False, branches=["global", "head"]),
    }  # fmt: skip
    return with_overrides(load_recipe("attention_driven_imagenet"), {**small, **changes})


@pytest.fixture(scope="module")
def finished(images: Path, validation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is long enough to tell the classes apart."""
    folder = tmp_path_factory.mktemp("stage") / "run"
    few_steps = {"epochs": 15, "optimizer.name": "adam", "optimizer.lr": 1e-3, "sampler.p": 6, **options(dropout=0.0)}
    other = {"data.test": str(validation), "schedule.milestones": (), "checkpoint_every": 15}
    train_classes(stage(images, **few_steps, **other), folder, show_progress=False)
    return folder


@pytest.fixture(scope="module")
def whole_network(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step of the whole network."""
    folder = tmp_path_factory.mktemp("stage") / "run"
    short = {**options(intra=True, branches=list(BRANCHES)), "epochs": 1, "sampler.p": 12, "schedule.milestones": ()}
    train_classes(stage(images, **short), folder, show_progress=False)
    return folder


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_recipe_is_the_papers() -> None:
    """9 epochs, 0.01, ÷10 every 3, batches of 32 in random order, from disk (§4.1)."""
    config = load_recipe("attention_driven_imagenet")
    assert (config.epochs, config.optimizer.name, config.optimizer.lr) == (9, "sgd", 0.01)
    assert (config.schedule.name, config.schedule.milestones, config.schedule.gamma) == ("step", (3, 6), 0.1)
    assert (config.sampler.p * config.sampler.k, config.sampler.order, config.data.cache) == (32, "random", False)
    assert config.data.size == load_recipe("attention_driven").data.size == (384, 192)
    assert config.data.normalization == load_recipe("attention_driven").data.normalization


def test_its_cost_is_that_of_ilsvrc2012() -> None:
    config, images = load_recipe("attention_driven_imagenet"), 1_281_167
    sampler = create_sampler([n % 1000 for n in range(images)], **config.sampler.model_dump(), seed=0)
    assert len(sampler) == 40_037


def test_classes_are_learned_and_measured(finished: Path) -> None:
    result = json.loads((finished / RESULT).read_text())
    assert result == {"top1": result["top1"], "images": len(CLASSES) * IMAGES, "classes": len(CLASSES)}
    assert result["top1"] >= 0.8
    assert not (finished / "metrics.json").exists(), "nothing was searched for"
    assert load_file(finished / "model.safetensors")["classifier.weight"].shape[0] == len(CLASSES)


def test_top_1_is_the_share_of_highest_scores(finished: Path, validation: Path, tmp_path: Path) -> None:
    """Of images under the names of other classes none is found."""
    other = tmp_path / "val"
    for name, instead in zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True):
        shutil.copytree(validation / name, other / instead)
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text())
    config["data"]["test"] = str(other)
    (run / "config.json").write_text(json.dumps(config))
    inputs = json.loads((run / "inputs.json").read_text())
    del inputs["data.test"]
    (run / "inputs.json").write_text(json.dumps(inputs))
    result = train_classes(None, run, resume=True, show_progress=False)
    right = json.loads((finished / RESULT).read_text())["top1"]
    assert isinstance(result, ClassResult)
    assert result.top1 <= 1 - right


def test_without_validation_images_nothing_is_measured(images: Path, tmp_path: Path) -> None:
    assert (
        train_classes(stage(images, epochs=1, **{"schedule.milestones": ()}), tmp_path / "run", show_progress=False)
        is None
    )
    assert not (tmp_path / "run" / RESULT).exists()


def test_a_resumed_run_repeats_the_uninterrupted_one(images: Path, tmp_path: Path) -> None:
    def stop(run: RunFolder) -> None:
        if run.checkpoint_epoch() == 1:
            raise KeyboardInterrupt

    train_classes(stage(images), tmp_path / "whole", show_progress=False)
    with pytest.raises(KeyboardInterrupt):
        train_classes(stage(images), tmp_path / "run", show_progress=False, on_checkpoint=stop)
    train_classes(None, tmp_path / "run", resume=True, show_progress=False)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_run_goes_on_with_its_own_images_only(finished: Path, images: Path, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "train"
    shutil.copytree(finished, run)
    shutil.copytree(images, other)
    (other / "red" / "0.png").rename(other / "green" / "red.png")
    config = json.loads((run / "config.json").read_text())
    config["data"]["train"] = str(other)
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"no longer what it began with: data\.train"):
        train_classes(None, run, resume=True, show_progress=False)


def test_images_stream_from_disk(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch decodes each image once: none is kept, nor is a rectangle of it."""
    read: list[str] = []
    loaders: list[loader_module.TrainLoader] = []
    original = loader_module.TrainLoader.__init__

    def counted(source: Any, sample: Any, size: Any) -> Any:
        read.append(sample.path)
        return read_image(source, sample, size)

    def noted(self: loader_module.TrainLoader, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        loaders.append(self)

    monkeypatch.setattr(loader_module, "read_image", counted)
    monkeypatch.setattr(loader_module.TrainLoader, "__init__", noted)
    train_classes(stage(images), tmp_path / "run", show_progress=False)
    names = sorted(f"{name}/{number}.png" for name in CLASSES for number in range(IMAGES))
    assert sorted(read) == sorted(names * 2)
    assert [(loader.memory, loader._rectangles) for loader in loaders] == [(None, {})]


def _table(name: str) -> Table:
    return load_table("attention_driven", name)


def networks() -> dict[str, tuple[str, str]]:
    """The first row, with its table, of each different network of Tables 6 to 9."""
    rows = [(table, row) for table in ("table6", "table7", "table8", "table9") for row in _table(table).rows]
    found = {
        json.dumps(_table(table).config(row).model.options, sort_keys=True): (table, row) for table, row in rows[::-1]
    }
    return {f"{table}-{row}": (table, row) for table, row in reversed(found.values())}


def test_the_networks_are_those_of_all_rows() -> None:
    rows = [row for _, row in networks().values()]
    assert {"baseline", "intra", "inter", "both", "without", "fc"} <= set(rows)
    alone = [row for row in rows if "_alone_" in row]
    assert len(alone) == 12, "five branches and all parts, with and without attention"


@pytest.mark.parametrize(("table", "row"), networks().values(), ids=networks())
def test_it_starts_every_row_of_the_tables(table: str, row: str, whole_network: Path) -> None:
    """What a row lacks is left out; attention that it has in another form starts anew; nothing else does."""
    given = load_file(whole_network / "model.safetensors")
    changes = {"model.backbone_weights": str(whole_network), "model.options.width": WIDTH}
    config = with_overrides(_table(table).config(row), changes)
    model = create_model("attention_driven", num_classes=5, **config.model.options)
    report = load_backbone_weights(model, config)
    assert report is not None
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(model.heads)}
    anew = {k for k in state if ".attention." in k} if config.model.options.get("decomposed") is False else set()
    assert set(report.fresh) == anew
    assert set(report.matched) == state.keys() - anew
    assert all(torch.equal(state[key], given[key]) for key in report.matched)
    lacking = {k for k in given if not k.startswith(model.heads)} - set(report.matched)
    assert set(report.outside) == lacking


def test_damaged_attention_does_not_start_anew(whole_network: Path, tmp_path: Path) -> None:
    state = load_file(whole_network / "model.safetensors")
    del state["branches.head.blocks.1.attention.mix.weight"]
    torch.save(state, tmp_path / "damaged.pth")
    changes = {"model.backbone_weights": str(tmp_path / "damaged.pth"), "model.options.width": WIDTH}
    config = with_overrides(load_recipe("attention_driven"), changes)
    with pytest.raises(WeightsError, match=r"missing \(branches\.head\.blocks\.1\.attention\.mix\.weight"):
        load_backbone_weights(create_model("attention_driven", num_classes=5, width=WIDTH), config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluate_every": 1}, "evaluate_every=1 evaluates searches for people"),
        ({"data.labels": "people"}, "data.labels=people learns people"),
        ({"loss.name": "multitask"}, "needs attributes of people"),
        ({"evaluation.distance": "local"}, "has no local distance"),
    ],
)
def test_what_means_people_is_refused(changes: dict[str, Any], words: str, images: Path, tmp_path: Path) -> None:
    config = load_recipe("aanet") if "loss.name" in changes else stage(images)
    settings = {"data.labels": "folders"} if "loss.name" in changes else changes
    with pytest.raises(PasserbyError, match=words):
        train_classes(with_overrides(config, settings), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_people_are_not_trained_on_classes(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.labels=folders learns no people.*train_classes"):
        train(stage(images), tmp_path / "run", show_progress=False)
