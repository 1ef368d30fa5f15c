"""The loop on a miniature world: what a run writes, exact resume, and how it stops."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from passerby.config import with_overrides
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, PasserbyError, ProtocolError, TrainingError, WeightsError
from passerby.evaluation.evaluate import evaluate
from passerby.figures.training_curves import save_loss_curves
from passerby.inference.load import load
from passerby.losses.reid import ReidLoss
from passerby.models.backbones import create_backbone
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig, read_config
from passerby.training.engine import Engine
from passerby.training.initial import load_backbone_weights
from passerby.training.loop import train
from passerby.training.run import RunFolder
from passerby.types import Batch, EvalResult


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Market layout: 5 training people and 3 others, 2 cameras, 3 noisy images each."""
    root = tmp_path_factory.mktemp("world")
    noise = np.random.default_rng(0)
    for pid in range(1, 9):
        color = noise.integers(0, 256, (4, 1, 3))
        for camera in (1, 2):
            for shot in range(3):
                pixels = np.repeat(np.repeat(color, 16, axis=0), 32, axis=1) + noise.integers(-20, 20, (64, 32, 3))
                splits = ["bounding_box_train"] if pid <= 5 else ["query" if shot == 0 else "bounding_box_test"]
                for split in splits:
                    (root / split).mkdir(exist_ok=True)
                    name = f"{pid:04d}_c{camera}s1_{shot:06d}_00.jpg"
                    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / split / name)
    return root


def tiny(world: Path, **overrides: object) -> TrainConfig:
    settings = {
        "model.options": {"backbone": "resnet18_half"},
        "data.train": f"market1501:{world}",
        "data.height": 32,
        "data.width": 16,
        "sampler.p": 3,
        "sampler.k": 2,
        "sampler.epoch_of": "images",
        "epochs": 3,
        **overrides,
    }
    return with_overrides(load_recipe("aap_reid"), settings)


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(tiny(world), run, show_progress=False, on_checkpoint=save_loss_curves)
    return run


def test_a_run_folder_is_complete(finished: Path, world: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert names == {
        "checkpoints",
        "config.json",
        "environment.json",
        "inputs.json",
        "losses.png",
        "metrics.json",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
        "tensorboard",
    }
    assert [p.name for p in (finished / "checkpoints").iterdir()] == ["epoch-0003"]
    assert read_config(finished / "config.json") == tiny(world)
    log = losses(finished)
    assert [entry["step"] for entry in log] == list(range(1, len(log) + 1))
    assert {"identity", "triplet", "local"} <= set(log[0])
    assert log[0]["loss"] == pytest.approx(sum(log[0][k] for k in ("identity", "triplet", "local")), rel=1e-5)


def test_its_model_loads_and_is_the_trained_one(finished: Path) -> None:
    model = load(finished)
    assert model.size == (32, 16)
    saved = load_file(finished / "model.safetensors")
    assert all(torch.equal(saved[name], tensor) for name, tensor in model.network.state_dict().items())
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["queries"] == 6


def test_resumed_losses_equal_the_uninterrupted_ones(
    world: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of the third epoch: the second epoch's checkpoint carries on, dropout and all."""
    original = Engine._step

    def dies(self: Engine[Batch, EvalResult], batch: Batch, progress: float, step: int, *, update: bool) -> object:
        if progress > 2.3:
            raise KeyboardInterrupt
        return original(self, batch, progress, step, update=update)

    run = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_step", dies)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(world), run, show_progress=False)
    assert len(losses(run)) > 2 * len(losses(finished)) // 3  # it logged steps past the checkpoint
    torch.manual_seed(999)  # the caller's generator must not matter
    train(None, run, resume=True, show_progress=False)
    assert losses(run) == losses(finished)
    assert not (run / "losses.png").exists()  # Python draws only where a callback does
    whole, resumed = (load_file(r / "model.safetensors") for r in (finished, run))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_training_leaves_the_callers_generator_alone(world: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state, python = torch.get_rng_state(), random.getstate()
    train(tiny(world, epochs=2), tmp_path / "run", show_progress=False)
    train(None, tmp_path / "run", resume=True, show_progress=False)
    assert torch.equal(state, torch.get_rng_state())
    assert random.getstate() == python


def test_images_decoded_ahead_train_like_images_in_memory(world: Path, finished: Path, tmp_path: Path) -> None:
    train(tiny(world, **{"data.cache": False}), tmp_path / "run", show_progress=False)
    assert losses(tmp_path / "run") == losses(finished)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ReidLoss.forward
    calls = iter(range(100))

    def broken(self: ReidLoss, output: object, batch: object) -> object:
        loss = original(self, output, batch)  # type: ignore[arg-type]
        return loss._replace(total=loss.total * math.nan) if next(calls) == 2 else loss

    monkeypatch.setattr(ReidLoss, "forward", broken)
    with pytest.raises(TrainingError, match="not finite at step 3"):
        train(tiny(world), tmp_path / "run", show_progress=False)
    batch = load_file(tmp_path / "run" / "failed-batch.safetensors")
    assert batch["images"].shape == (6, 3, 32, 16)
    assert len(losses(tmp_path / "run")) == 2
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_an_existing_folder_is_rejected_before_any_work(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exists.*choose another --run"):
        train(tiny(world, **{"data.train": "market1501:nowhere"}), tmp_path, show_progress=False)


@pytest.mark.parametrize("setting", [{"data.train": "market1501:/nowhere"}, {"sampler.p": 6}, {"model.name": "none"}])
def test_what_cannot_start_leaves_no_folder(world: Path, tmp_path: Path, setting: dict[str, object]) -> None:
    with pytest.raises(PasserbyError):
        train(tiny(world, **setting), tmp_path / "run", show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_resume_from_is_said(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        train(None, tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match="needs a config"):
        train(None, tmp_path / "run")


def test_gradient_accumulation_steps_half_as_often(world: Path, tmp_path: Path) -> None:
    train(tiny(world, epochs=1, accumulate=2), tmp_path / "run", show_progress=False)
    state = torch.load(tmp_path / "run/checkpoints/epoch-0001/optimizer.bin", weights_only=True)
    steps = {int(entry["step"]) for entry in state["state"].values()}
    assert steps == {len(losses(tmp_path / "run")) // 2 + len(losses(tmp_path / "run")) % 2}


def test_a_test_that_cannot_be_evaluated_is_rejected_before_training(world: Path, tmp_path: Path) -> None:
    one_camera = tmp_path / "one_camera"
    shutil.copytree(world, one_camera)
    for file in one_camera.glob("*/*_c2s1_*"):
        file.unlink()
    with pytest.raises(ProtocolError, match="none of the 3 queries has a valid match"):
        train(tiny(world, **{"data.test": f"market1501:{one_camera}"}), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_a_log_cut_in_the_middle_of_a_line_can_be_resumed(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    whole = losses(finished)
    log = run / "metrics.jsonl"
    log.write_text(log.read_text()[:-20])
    assert len(RunFolder(run).log()) == len(whole) - 1


def test_a_damaged_checkpoint_and_another_number_of_processes_are_rejected(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (checkpoint,) = (run / "checkpoints").iterdir()
    (checkpoint / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(WeightsError, match="cannot be resumed from"):
        train(None, run, resume=True, show_progress=False)
    (checkpoint / "world.json").write_text("4")
    with pytest.raises(ConfigError, match="trained by 4 processes, got 1"):
        train(None, run, resume=True, show_progress=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="half precision works where there is a CUDA device")
def test_fp16_without_a_cuda_device_is_rejected(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="precision=fp16 needs a CUDA device"):
        train(tiny(world, precision="fp16"), tmp_path / "run", show_progress=False)


def test_bf16_trains_and_the_final_numbers_are_those_of_the_saved_model(world: Path, tmp_path: Path) -> None:
    result = train(tiny(world, precision="bf16", epochs=1), tmp_path / "run", show_progress=False)
    assert result is not None
    saved = load(tmp_path / "run")
    again = evaluate(saved.network, load_dataset(f"market1501:{world}"), size=saved.size)
    assert result.mean_ap == pytest.approx(again.mean_ap, abs=1e-9)


def test_the_backbones_checkpoint_is_loaded_and_reported(world: Path, tmp_path: Path) -> None:
    backbone = create_backbone("resnet18_half")
    torch.save(backbone.state_dict(), tmp_path / "backbone.pth")
    config = tiny(world, epochs=1, **{"model.backbone_weights": str(tmp_path / "backbone.pth"), "optimizer.lr": 1e-12})
    train(config, tmp_path / "run", show_progress=False)
    report = json.loads((tmp_path / "run" / "backbone_weights.json").read_text())
    assert len(report["matched"]) == len(backbone.state_dict())
    assert all(".attention." in key for key in report["fresh"])
    trained = load_file(tmp_path / "run" / "model.safetensors")["backbone.layer1.0.conv1.weight"]
    assert torch.allclose(trained, backbone.state_dict()["layer1.0.conv1.weight"], atol=1e-6)
    (tmp_path / "backbone.pth").unlink()  # a resumed run does not need it again
    train(None, tmp_path / "run", resume=True, show_progress=False)


def test_a_model_that_is_its_own_backbone_starts_from_its_base_without_attention(tmp_path: Path) -> None:
    options = {"width": 0.25, "intra": False, "fusion": "concat"}
    base = create_model("attention_driven", num_classes=7, **options)
    save_file(base.state_dict(), tmp_path / "base.safetensors")
    weights = str(tmp_path / "base.safetensors")
    config = with_overrides(load_recipe("attention_driven"), {"model.backbone_weights": weights})
    model = create_model("attention_driven", num_classes=2, width=0.25)
    report = load_backbone_weights(model, config)
    assert report is not None
    assert not report.missing
    assert all(".attention." in key for key in report.fresh)
    heads = [key for key in base.state_dict() if key.startswith("classifier")]
    assert {*report.matched} == {*base.state_dict()} - {*heads}
    assert torch.equal(model.state_dict()["stem.0.weight"], base.state_dict()["stem.0.weight"])


def test_a_run_starts_from_another_runs_model_with_other_people(
    world: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "world"
    shutil.copytree(world, other)
    for file in (other / "bounding_box_train").glob("0005_*"):
        file.unlink()
    settings = {"data.train": f"market1501:{other}", "model.weights": str(finished), "epochs": 1, "optimizer.lr": 1e-12}
    train(tiny(world, **settings), tmp_path / "run")
    assert "initial weights of the model: " in capsys.readouterr().out.replace("\n", " ")
    old, new = (load_file(run / "model.safetensors") for run in (finished, tmp_path / "run"))
    assert new["classifier.weight"].shape[0] == 4
    learned = [key for key in old if key.endswith("weight") and not key.startswith("classifier.")]
    assert all(torch.allclose(old[key], new[key], atol=1e-6) for key in learned)
    report = json.loads((tmp_path / "run" / "initial_weights.json").read_text())
    assert {*report["matched"]} == {key for key in old if not key.startswith("classifier.")}
    about = json.loads((tmp_path / "run" / "model.json").read_text())["weights"]["model"]
    assert about == {"source": str(finished), "sha256": report["sha256"]}
    assert len(about["sha256"]) == 64


def test_a_run_goes_on_only_with_its_own_data(world: Path, tmp_path: Path) -> None:
    data = tmp_path / "world"
    shutil.copytree(world, data)
    train(tiny(world, **{"data.train": f"market1501:{data}"}, epochs=1), tmp_path / "run", show_progress=False)
    moved = data / "bounding_box_train"
    (moved / "0001_c1s1_000000_00.jpg").rename(moved / "0002_c1s1_000009_00.jpg")
    with pytest.raises(
        ConfigError, match=r"data\.train \(digest \w{12}, now \w{12}\); data\.train\.labels .*Fix: restore"
    ):
        train(None, tmp_path / "run", resume=True, show_progress=False)


def test_weights_of_backbone_and_model_exclude_each_other(world: Path) -> None:
    with pytest.raises(ConfigError, match="set one of them"):
        tiny(world, **{"model.weights": "a", "model.backbone_weights": "b"})
