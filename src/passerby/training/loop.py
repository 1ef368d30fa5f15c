"""The training loop. Accelerate decides devices, precision, processes and gradient accumulation.

Exactness: batches are a function of (seed, epoch, step), the learning rate one of progress, and
torch's own generator (dropout) is seeded anew at each epoch inside a fork, so that the caller's
state is left alone. A run that resumes from an epoch's checkpoint thus repeats the uninterrupted
one's losses to the last bit on the same machine.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from safetensors.torch import save_file
from torch import Tensor

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, OutputError, TrainingError, WeightsError
from passerby.figures.training_curves import save_loss_curves
from passerby.inference.model import Model
from passerby.losses.reid import LossParts
from passerby.models.base import ReidModel
from passerby.training.attributes import evaluation_attributes
from passerby.training.checkpoint import save_model
from passerby.training.config import TrainConfig, read_config
from passerby.training.data import count_people, evaluation_data, train_loader
from passerby.training.inputs import INPUTS, digests
from passerby.training.loss import build_loss, leaves_parameters_out
from passerby.training.model import build_model, load_backbone_weights
from passerby.training.monitor import Monitor
from passerby.training.optimizer import build_optimizer, set_lr
from passerby.training.run import RunFolder
from passerby.training.schedule import lr_factor
from passerby.types import Batch, EvalResult


def train(
    config: TrainConfig | None, run: str | Path, *, resume: bool = False, show_progress: bool = True
) -> EvalResult | None:
    """Train as ``config`` says into the folder ``run``, then evaluate where there is a query and a gallery.

    Args:
        config: may be ``None`` with ``resume``: the run's own is read.

    Raises:
        ConfigError: if the folder exists (without ``resume``) or holds nothing to resume from.
        DatasetLayoutError: if the data cannot be trained on.
        TrainingError: if the loss is not finite; the batch is saved in the folder.
    """
    folder = RunFolder(run)
    if resume:
        config = read_config(folder.config)
        folder.latest_checkpoint()
    elif config is None:
        raise ConfigError("training needs a config; load_recipe(name) gives one")
    elif folder.path.exists():
        folder.create(config)  # refuses, before any work
    with _callers_randomness_kept():
        return _Training(config, folder, resume=resume, show_progress=show_progress).run()


class _Training:
    """One run's objects, built once, in the order in which they can fail."""

    def __init__(self, config: TrainConfig, folder: RunFolder, *, resume: bool, show_progress: bool) -> None:
        self.config, self.folder, self.resume = config, folder, resume
        self.dataset = load_dataset(config.data.train)
        self.test = evaluation_data(config, self.dataset)
        self.accelerator = _accelerator(config)
        self.show_progress = show_progress and self.accelerator.is_main_process
        model = build_model(config, num_classes=count_people(self.dataset))
        self.weights = None if resume else load_backbone_weights(model, config)
        self.loader = train_loader(
            config, model, self.dataset, rank=self.accelerator.process_index, world=self.accelerator.num_processes
        )
        loss = build_loss(config.loss)
        optimizer = build_optimizer(model, loss, config.optimizer)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.evaluation_attributes = evaluation_attributes(config, model, self.dataset, self.test)
        self.loss = self.accelerator.prepare(loss) if any(True for _ in loss.parameters()) else loss

    def run(self) -> EvalResult | None:
        try:
            first = self._continue() if self.resume else self._start()
            with self._monitor(first) as monitor:
                self._find_parts(monitor)
                for epoch in range(first, self.config.epochs):
                    self._epoch(epoch, monitor)
                    self._after_epoch(epoch + 1, monitor)
            return self._finish()
        except OSError as error:
            raise OutputError(
                f"cannot write into {self.folder.path} ({error.strerror or error}); make room, then continue with "
                f"--resume {self.folder.path}"
            ) from None

    def _start(self) -> int:
        if self.accelerator.is_main_process:
            self.folder.create(self.config)
            self.folder.write_json(INPUTS, digests(self.config, self.dataset, self.test))
            if self.weights is not None:
                self.folder.write_json("backbone_weights.json", asdict(self.weights))
        self.accelerator.wait_for_everyone()
        return 0

    def _continue(self) -> int:
        checkpoint = self.folder.latest_checkpoint()
        self.folder.check_world_size(checkpoint, self.accelerator.num_processes)
        try:
            self.accelerator.load_state(str(checkpoint))
        except Exception as error:  # noqa: BLE001 - a damaged file can break its reader anywhere
            raise WeightsError(
                f"{checkpoint} cannot be resumed from ({error}); train anew under another --run"
            ) from None
        epoch = int(checkpoint.name.removeprefix("epoch-"))
        if self.accelerator.is_main_process:
            self.folder.cut_log(epoch * len(self.loader))
        self.accelerator.wait_for_everyone()
        return epoch

    @contextmanager
    def _monitor(self, first_epoch: int) -> Iterator[Monitor]:
        total = self.config.epochs * len(self.loader)
        active = self.accelerator.is_main_process
        with Monitor(
            self.folder, total, done=first_epoch * len(self.loader), active=active, show=self.show_progress
        ) as monitor:
            if self.weights is not None:
                monitor.say(f"backbone weights: {self.weights}")
            yield monitor

    def _find_parts(self, monitor: Monitor) -> None:
        """One process finds them, and the others read what it found."""
        images = len(self.loader.samples)
        with self.accelerator.main_process_first(), monitor.preparing("finding body parts", images) as advance:
            self.loader.find_parts(advance)

    def _epoch(self, epoch: int, monitor: Monitor) -> None:
        torch.manual_seed(self.config.seed * 1_000_003 + epoch * 1_009 + self.accelerator.process_index)
        self.model.train()
        started = time.perf_counter()
        for index, batch in enumerate(self.loader.epoch(epoch, to=self.accelerator.device)):
            done = index + 1
            update = done % self.config.accumulate == 0 or done == len(self.loader)
            lr = self._step(batch, epoch + index / len(self.loader), monitor.step + 1, update=update)
            images = len(batch.images) * self.accelerator.num_processes
            seconds, started = time.perf_counter() - started, time.perf_counter()
            monitor.log(epoch, self.last, lr, images_per_second=images / seconds)

    def _step(self, batch: Batch, progress: float, step: int, *, update: bool) -> float:
        """Forward, backward and, where due, an update; returns the learning rate. The loss stays in ``self.last``."""
        config = self.config
        factor = lr_factor(progress, schedule=config.schedule, epochs=config.epochs)
        lr = set_lr(self.optimizer, factor)
        with nullcontext() if update else self.accelerator.no_sync(self.model):
            self.last: LossParts = self.loss(self.model(*_inputs(batch)), batch)
            if not math.isfinite(self.last.total.item()):
                self._stop_at(batch, step)
            self.accelerator.backward(self.last.total / config.accumulate)
        if update:
            self.optimizer.step()
            self.optimizer.zero_grad()
        return lr

    def _stop_at(self, batch: Batch, step: int) -> None:
        saved = self.folder.path / "failed-batch.safetensors"
        save_file({"images": batch.images.detach().cpu().contiguous(), "labels": batch.labels.cpu()}, saved)
        parts = ", ".join(f"{name} {value.item():.4g}" for name, value in self.last.parts.items())
        raise TrainingError(
            f"the loss is not finite at step {step} ({parts}); the batch is in {saved}; lower optimizer.lr or "
            "set precision=no, then start again or resume from the last checkpoint"
        )

    def _after_epoch(self, done: int, monitor: Monitor) -> None:
        config = self.config
        if done % config.checkpoint_every == 0 or done == config.epochs:
            self._checkpoint(done)
        if config.evaluate_every and done % config.evaluate_every == 0 and done < config.epochs:
            result = self._evaluate(self.accelerator.unwrap_model(self.model))
            if result:
                monitor.log_evaluation(done, result)

    def _checkpoint(self, epoch: int) -> None:
        partial = self.folder.checkpoints / ".partial"
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.folder.adopt_checkpoint(partial, epoch, world=self.accelerator.num_processes)
            save_loss_curves(self.folder.log(), self.folder.path / "losses.png")

    def _evaluate(self, model: ReidModel) -> EvalResult | None:
        result = None
        if self.test is not None and self.accelerator.is_main_process:
            how = {"parts": self.config.parts.model_dump(), **self.config.evaluation.model_dump()}
            trained = Model(model, self.config.data.size, **how)
            result = trained.evaluate(self.test, attributes=self.evaluation_attributes)
        self.accelerator.wait_for_everyone()
        return result

    def _finish(self) -> EvalResult | None:
        config = self.config
        # without the wrapper of mixed precision: the number is the one that `passerby evaluate` gives
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self.accelerator.is_main_process:
            save_model(
                self.folder,
                model,
                options=config.model.options,
                size=config.data.size,
                parts=config.parts.model_dump(),
                evaluation=config.evaluation.model_dump(),
            )
        result = self._evaluate(model)
        if result is not None and self.accelerator.is_main_process:
            self.folder.write_json("metrics.json", result.to_dict())
        return result


def _accelerator(config: TrainConfig) -> Accelerator:
    # parameters without a gradient are something that several processes must expect
    unused = DistributedDataParallelKwargs(find_unused_parameters=leaves_parameters_out(config.loss))
    # a second run in the same process may want another precision, which accelerate's shared state would refuse
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=config.precision, kwargs_handlers=[unused])
    if config.precision == "fp16" and accelerator.device.type != "cuda":
        raise ConfigError(f"precision=fp16 needs a CUDA device, this is {accelerator.device.type}; set bf16 or no")
    return accelerator


@contextmanager
def _callers_randomness_kept() -> Iterator[None]:
    """Torch's, numpy's and Python's global generators are put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - accelerate restores the legacy one
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _inputs(batch: Batch) -> tuple[Tensor, ...]:
    return (batch.images,) if batch.parts is None else (batch.images, batch.parts)
