"""The engine on a toy training: epochs, checkpoints, exact resume, accumulation, and how it stops."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from passerby.config import Frozen
from passerby.errors import ConfigError, OutputError, TrainingError, WeightsError
from passerby.losses.base import LossParts
from passerby.training.base import Training
from passerby.training.config import ScheduleConfig
from passerby.training.engine import run_training
from passerby.training.run import RunFolder
from passerby.types import EvalResult, Protocol

STEPS = 3


class ToyConfig(Frozen):
    epochs: int = 3
    seed: int = 0
    schedule: ScheduleConfig = ScheduleConfig(name="step", milestones=(2,))
    checkpoint_every: int = 1
    accumulate: int = 1
    evaluate_every: int = 0


class Toy(Training[Tensor, float]):
    """A linear layer with dropout that learns to answer 0."""

    config: ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        self.config, self.accumulate = config, config.accumulate
        self.layer, self.dropout = nn.Linear(4, 1), nn.Dropout(0.5)
        nn.init.constant_(self.layer.weight, 1.0)
        nn.init.constant_(self.layer.bias, 1.0)
        self.optimizer = torch.optim.Adam([{"params": list(self.layer.parameters()), "base_lr": 0.1}], lr=0.1)
        self.updates = 0

    @property
    def steps(self) -> int:
        return STEPS

    def create(self, folder: RunFolder) -> None:
        folder.create(self.config)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        for step in range(STEPS):
            yield torch.randn(2, 4, generator=torch.Generator().manual_seed(epoch * STEPS + step))

    def tensors(self, batch: Tensor) -> dict[str, Tensor]:
        return {"images": batch}

    def compute_loss(self, batch: Tensor) -> LossParts:
        square = self.layer(self.dropout(batch)).pow(2).mean()
        return LossParts(square, {"square": square})

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        super().update()
        self.updates += 1

    def evaluate_after(self, epoch: int) -> EvalResult | None:
        every = self.config.evaluate_every
        return EvalResult(Protocol(), (0.5,), 0.25, 0.1, 4, 0, 9) if every and epoch % every == 0 else None

    def save_state(self, folder: Path) -> None:
        torch.save([self.layer.state_dict(), self.optimizer.state_dict()], folder / "toy.pt")

    def load_state(self, folder: Path) -> None:
        layer, optimizer = torch.load(folder / "toy.pt", weights_only=True)
        self.layer.load_state_dict(layer)
        self.optimizer.load_state_dict(optimizer)

    def finish(self, folder: RunFolder) -> float:
        return self.layer.weight.detach().sum().item()


def start(run: Path, build: Any = Toy, **settings: Any) -> float:
    options: dict[str, Any] = {"resume": False, "show_progress": False, "on_checkpoint": None}
    options |= {name: settings.pop(name) for name in list(settings) if name in options}
    config = None if options["resume"] else ToyConfig(**settings)
    result: float = run_training(ToyConfig, build, config, run, **options)
    return result


def log(run: Path) -> list[dict[str, Any]]:
    return [{**entry, "images_per_second": 0} for entry in RunFolder(run).log()]


def stopping_at(step: int) -> type[Toy]:
    class Stopping(Toy):
        def compute_loss(self, batch: Tensor) -> LossParts:
            if self.updates == step:
                raise KeyboardInterrupt
            return super().compute_loss(batch)

    return Stopping


def test_every_step_is_logged_with_its_epoch_and_learning_rate(tmp_path: Path) -> None:
    start(tmp_path / "run")
    entries = log(tmp_path / "run")
    assert [entry["step"] for entry in entries] == list(range(1, 10))
    assert [entry["epoch"] for entry in entries] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [entry["lr"] for entry in entries] == pytest.approx([0.1] * 6 + [0.01] * 3)
    assert all(entry["loss"] == entry["square"] for entry in entries)


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_a_resumed_run_repeats_the_uninterrupted_one_dropout_and_all(tmp_path: Path, stop: int) -> None:
    whole = start(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "cut", stopping_at(stop))
    kept = [path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()]
    assert kept == [f"epoch-{stop // STEPS:04d}"]
    torch.manual_seed(999)  # the caller's generator must not matter
    assert start(tmp_path / "cut", resume=True) == whole
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_the_seed_decides_dropout(tmp_path: Path) -> None:
    results = [start(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert results[0] == results[1] != results[2]


def test_the_callers_random_state_is_unchanged(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    start(tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callback_sees_each_checkpoint_and_the_steps_until_then(tmp_path: Path) -> None:
    seen: list[tuple[list[str], int]] = []

    def note(folder: RunFolder) -> None:
        seen.append(([path.name for path in folder.checkpoints.iterdir()], len(folder.log())))

    start(tmp_path / "run", checkpoint_every=2, on_checkpoint=note)
    assert seen == [(["epoch-0002"], 6), (["epoch-0003"], 9)]


def test_without_a_callback_nothing_is_drawn(tmp_path: Path) -> None:
    start(tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"checkpoints", "config.json", "environment.json", "metrics.jsonl", "tensorboard"}


@pytest.mark.parametrize(("accumulate", "updates"), [(1, 9), (2, 6), (3, 3), (5, 3)])
def test_gradients_accumulate_until_an_update_and_never_over_an_epochs_end(
    tmp_path: Path, accumulate: int, updates: int
) -> None:
    built: list[Toy] = []

    def build(config: ToyConfig) -> Toy:
        built.append(Toy(config))
        return built[-1]

    start(tmp_path / "run", build, accumulate=accumulate)
    assert built[0].updates == updates


def test_evaluations_between_epochs_are_logged(tmp_path: Path) -> None:
    start(tmp_path / "run", evaluate_every=2)
    expected = {"step": 6, "epoch": 2, "rank1": 0.5, "mean_ap": 0.25, "minp": 0.1}
    assert RunFolder(tmp_path / "run").evaluations() == [expected]


def test_progress_off_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(tmp_path / "run", evaluate_every=1)
    assert capsys.readouterr() == ("", "")


class Evaluated(Toy):
    """A toy whose evaluations are counted, and which is killed at the first one."""

    made = 0
    killed: bool = True

    def evaluate_after(self, epoch: int) -> EvalResult | None:
        result = super().evaluate_after(epoch)
        if result is not None:
            if type(self).killed:
                raise KeyboardInterrupt
            type(self).made += 1
        return result


def test_an_evaluation_that_a_kill_prevented_is_made_up(tmp_path: Path) -> None:
    class Here(Evaluated):
        pass

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run", Here, evaluate_every=2, epochs=5)
    assert RunFolder(tmp_path / "run").checkpoint_epoch() == 2
    Here.killed = False
    start(tmp_path / "run", Here, resume=True)
    assert [entry["epoch"] for entry in RunFolder(tmp_path / "run").evaluations()] == [2, 4]
    start(tmp_path / "run", Here, resume=True)  # what is logged is not made again
    assert Here.made == 2


def test_a_run_that_died_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole")
    RunFolder(tmp_path / "cut").create(ToyConfig())
    assert start(tmp_path / "cut", resume=True) == whole
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_a_dead_run_never_blocks_its_name(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run", stopping_at(1))
    start(tmp_path / "run", seed=3)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 3


@pytest.mark.parametrize("beside", ["notes.txt", "model.json", "checkpoints/epoch-0001"])
def test_a_folder_with_anything_else_is_kept(tmp_path: Path, beside: str) -> None:
    RunFolder(tmp_path / "run").create(ToyConfig())
    precious = tmp_path / "run" / beside
    precious.parent.mkdir(exist_ok=True)
    precious.mkdir() if beside.startswith("checkpoints") else precious.touch()
    with pytest.raises(ConfigError, match="exists"):
        start(tmp_path / "run", partial(pytest.fail, "built"))
    assert precious.exists()


def test_checkpoints_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("epoch-9999", "epoch-10000", "epoch-0002", "epoch-last", ".partial"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert RunFolder(tmp_path).latest_checkpoint().name == "epoch-10000"


def test_two_processes_never_train_in_one_folder(tmp_path: Path) -> None:
    start(tmp_path / "run", epochs=1)
    with (
        RunFolder(tmp_path / "run").locked(),
        pytest.raises(OutputError, match="is being trained by another process"),
    ):
        start(tmp_path / "run", resume=True)

    class Second(Toy):
        def compute_loss(self, batch: Tensor) -> LossParts:
            with pytest.raises(OutputError, match="is being trained by another process"):
                start(tmp_path / "live", resume=True)
            with pytest.raises(OutputError, match="is being trained by another process"):
                start(tmp_path / "live", seed=5)
            return super().compute_loss(batch)

    start(tmp_path / "live", Second, epochs=1)
    assert ".lock" not in {path.name for path in (tmp_path / "live").iterdir()}


@pytest.mark.parametrize(("warmup", "epochs", "fits"), [(10, 4, False), (4, 4, False), (3.5, 4, True), (0, 1, True)])
def test_a_warmup_that_does_not_end_is_refused(tmp_path: Path, warmup: float, epochs: int, fits: bool) -> None:
    schedule = ScheduleConfig(warmup_epochs=warmup)
    if fits:
        start(tmp_path / "run", epochs=epochs, schedule=schedule)
        return
    with pytest.raises(
        ConfigError, match=rf"warmup_epochs is {warmup}, which does not end within epochs={epochs}.*Fix"
    ):
        start(tmp_path / "run", epochs=epochs, schedule=schedule)
    assert not (tmp_path / "run").exists()


def test_milestones_that_are_never_reached_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = ScheduleConfig(name="step", milestones=(1, 3, 9))
    start(tmp_path / "run", epochs=3, schedule=schedule, show_progress=True)
    assert "milestones 3, 9 lie at or after the end, epochs=3" in " ".join(capsys.readouterr().out.split())


def test_without_a_terminal_progress_is_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("passerby.progress.EVERY", 0.0)
    start(tmp_path / "run", show_progress=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ") and "step:" in line]
    assert len(lines) == 9
    assert re.fullmatch(r"epoch 2, step: 4 of 9, square \d+\.\d{3}, \d+ images/s", lines[3])


# errors


class Diverging(Toy):
    def compute_loss(self, batch: Tensor) -> LossParts:
        loss = super().compute_loss(batch)
        return LossParts(loss.total * math.nan, loss.parts) if self.updates == 4 else loss


def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 5 \(square .*\).*failed-batch.*lower optimizer.lr"):
        start(tmp_path / "run", Diverging)
    saved = load_file(tmp_path / "run" / "failed-batch.safetensors")
    assert torch.equal(saved["images"], list(Toy(ToyConfig()).batches(1))[1])
    assert len(log(tmp_path / "run")) == 4
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-0001"]
    start(tmp_path / "run", resume=True)
    assert len(log(tmp_path / "run")) == 9


FULL = {
    "the system": OSError(28, "No space left on device"),
    "safetensors": SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    "torch": RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nframe #0"),
}


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_a_full_disk_is_one_line_that_says_how_to_go_on(tmp_path: Path, error: Exception) -> None:
    class Full(Toy):
        saves = 0

        def save_state(self, folder: Path) -> None:
            super().save_state(folder)
            type(self).saves += 1
            if self.saves == 3:
                raise error

    whole = start(tmp_path / "whole")
    with pytest.raises(OutputError, match=r"cannot write .*Fix: make room, then continue with --resume") as caught:
        start(tmp_path / "run", Full)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-0001"]
    assert start(tmp_path / "run", resume=True) == whole


def test_a_checkpoint_without_its_number_of_processes_is_damaged_not_a_full_disk(tmp_path: Path) -> None:
    start(tmp_path / "run", epochs=1)
    file = tmp_path / "run" / "checkpoints" / "epoch-0001" / "world.json"
    for content, words in ((None, "cannot be read"), ("[" * 5000, "nested too deep"), ("{", "not valid JSON")):
        file.unlink() if content is None else file.write_text(content)
        with pytest.raises(ConfigError, match=rf"world\.json .*{words}.*Fix: train again"):
            start(tmp_path / "run", resume=True)
    file.write_text('"two"')
    with pytest.raises(ConfigError, match="trained by 'two' processes, got 1"):
        start(tmp_path / "run", resume=True)


@pytest.mark.parametrize("line", ["[1]", "{", '{"loss": 1.0}', '{"step": "x"}', '{"step": 1, "loss": [1]}', "[" * 3000])
def test_a_log_that_is_none_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    start(tmp_path / "run", epochs=1)
    file = tmp_path / "run" / "metrics.jsonl"
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(ConfigError, match=r"metrics\.jsonl, line 4, is no log entry.*Fix: delete the line"):
        start(tmp_path / "run", resume=True)


def test_a_checkpoint_of_other_weights_cannot_be_resumed(tmp_path: Path) -> None:
    start(tmp_path / "run", epochs=1)
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    torch.save([{}, {}], checkpoint / "toy.pt")
    with pytest.raises(WeightsError, match=r"epoch-0001.* cannot be resumed from"):
        start(tmp_path / "run", resume=True)


def test_a_run_keeps_its_number_of_processes(tmp_path: Path) -> None:
    class Two(Toy):
        world = 2

    start(tmp_path / "run", Two, epochs=1)
    assert json.loads((tmp_path / "run" / "checkpoints" / "epoch-0001" / "world.json").read_text()) == 2
    with pytest.raises(ConfigError, match="trained by 2 processes, got 1"):
        start(tmp_path / "run", resume=True)


def test_other_processes_than_the_first_write_nothing(tmp_path: Path) -> None:
    class Second(Toy):
        rank, world = 1, 2

        def save_state(self, folder: Path) -> None:
            pass

    calls: list[RunFolder] = []
    start(tmp_path / "run", Second, on_checkpoint=calls.append)
    assert not (tmp_path / "run").exists()
    assert calls == []


def test_an_existing_folder_is_kept_and_nothing_is_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exists.*choose another --run"):
        start(tmp_path, partial(pytest.fail, "built"))


def test_where_no_folder_can_be_nothing_is_built(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*'.*file' is not a folder\. Fix: choose another"):
        start(tmp_path / "file" / "run", partial(pytest.fail, "built"))


def test_a_config_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a config: got None, expected a ToyConfig"):
        run_training(ToyConfig, Toy, None, tmp_path / "run", resume=False, show_progress=False, on_checkpoint=None)
