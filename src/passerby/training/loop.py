"""The training loop. Accelerate decides devices, precision, processes and gradient accumulation.

Exactness: batches are a function of (seed, epoch, step), the learning rate one of progress, and
torch's own generator (dropout) is seeded anew at each epoch inside a fork, so that the caller's
state is left alone. A run that resumes from an epoch's checkpoint thus repeats the uninterrupted
one's losses to the last bit on the same machine.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from passerby.data.dataset import Dataset, people
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.registry import load as load_dataset
from passerby.data.sampler import PKSampler
from passerby.data.transforms import Augmentation
from passerby.errors import ConfigError, DatasetLayoutError, TrainingError
from passerby.evaluation.evaluate import evaluate
from passerby.losses.reid import LossParts, ReidLoss
from passerby.models.card import ReidModel
from passerby.models.registry import create_model
from passerby.models.weights import load_trunk
from passerby.training.checkpoint import save_model
from passerby.training.config import TrainConfig, read_config
from passerby.training.curves import save_loss_curves
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
    return _Training(config, folder, show_progress=show_progress).run(resume=resume)


class _Training:
    """One run's objects, built once, in the order in which they can fail."""

    def __init__(self, config: TrainConfig, folder: RunFolder, *, show_progress: bool) -> None:
        self.config, self.folder = config, folder
        self.dataset = load_dataset(config.data.train)
        self.test = _test_data(config, self.dataset)
        self.accelerator = Accelerator(mixed_precision=config.precision)
        self.show_progress = show_progress and self.accelerator.is_main_process
        samples = self.dataset.split("train")
        if len(people(samples)) < 2:
            raise DatasetLayoutError(
                f"{self.dataset.name} has training images of {len(people(samples))} person; identities need at least 2"
            )
        model = build_model(config, num_classes=len(people(samples)))
        sampler = PKSampler(
            class_labels(samples),
            **config.sampler.model_dump(),
            seed=config.seed,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        self.loader = TrainLoader(
            self.dataset.source,
            samples,
            sampler,
            size=config.data.size,
            augmentation=Augmentation(**config.augment.model_dump()),
            seed=config.seed,
            cache=config.data.cache,
            threads=config.data.threads,
        )
        self.loss = ReidLoss(**config.loss.model_dump())
        optimizer = build_optimizer(model, config.optimizer)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)

    @property
    def plain_model(self) -> ReidModel:
        model: ReidModel = self.accelerator.unwrap_model(self.model)
        return model

    def run(self, *, resume: bool) -> EvalResult | None:
        with torch.random.fork_rng():
            first = self._resume() if resume else self._start()
            with self._monitor(first) as monitor:
                for epoch in range(first, self.config.epochs):
                    self._epoch(epoch, monitor)
                    self._after_epoch(epoch + 1, monitor)
        return self._finish()

    def _start(self) -> int:
        if self.accelerator.is_main_process:
            self.folder.create(self.config)
        self.accelerator.wait_for_everyone()
        return 0

    def _resume(self) -> int:
        checkpoint = self.folder.latest_checkpoint()
        self.accelerator.load_state(str(checkpoint))
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
            yield monitor

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
            self.last: LossParts = self.loss(self.model(batch.images), batch.labels)
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
            result = self._evaluate()
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
            self.folder.adopt_checkpoint(partial, epoch)
            save_loss_curves(self.folder.log(), self.folder.path / "losses.png")

    def _evaluate(self) -> EvalResult | None:
        result = None
        if self.test is not None and self.accelerator.is_main_process:
            result = evaluate(self.plain_model, self.test, size=self.config.data.size)
        self.accelerator.wait_for_everyone()
        return result

    def _finish(self) -> EvalResult | None:
        config = self.config
        if self.accelerator.is_main_process:
            save_model(self.folder, self.plain_model, options=config.model.options, size=config.data.size)
        result = self._evaluate()
        if result is not None and self.accelerator.is_main_process:
            self.folder.write_json("metrics.json", result.to_dict())
        return result


def build_model(config: TrainConfig, *, num_classes: int) -> ReidModel:
    """The config's model with fresh weights from its seed, its trunk from a checkpoint where one is named."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = create_model(config.model.name, num_classes=num_classes, **config.model.options)
    if config.model.trunk_weights:
        trunk = getattr(model, model.trunk_prefix) if model.trunk_prefix else model
        load_trunk(trunk, config.model.trunk_weights)
    return model


def _test_data(config: TrainConfig, training: Dataset) -> Dataset | None:
    """Where to evaluate: the named dataset, which must have both splits; else the training one, if it has them."""
    if config.data.test:
        test = load_dataset(config.data.test)
        test.split("query"), test.split("gallery")
        return test
    return training if training.query and training.gallery else None
