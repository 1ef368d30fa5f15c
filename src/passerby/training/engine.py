"""The engine of both trainings: epochs, checkpoints, exact resume, progress, and the stop at a non-finite loss.

A :class:`~passerby.training.base.Training` supplies batches, a loss and a state; the engine calls them in turn:
:mod:`passerby.training.loop` trains re-identification models, :mod:`passerby.training.pose.training` the pose network.

Exactness: batches are a function of (seed, epoch, step), the learning rate is one of progress, and torch's global
generator (dropout) is seeded anew at each epoch inside a fork, so the caller's random state is unchanged. A run that
resumes from an epoch's checkpoint therefore repeats the losses of an uninterrupted run to the last bit on the same
machine.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import save_file

from passerby.config import read_as
from passerby.errors import ConfigError, OutputError, TrainingError, WeightsError, first_line
from passerby.losses.base import LossParts
from passerby.training.base import B, R, Training
from passerby.training.monitor import Monitor
from passerby.training.optimizer import set_lr
from passerby.training.run import RunFolder
from passerby.training.schedule import Scheduled, check_schedule, lr_factor, unreached

C = TypeVar("C", bound=BaseModel)
OnCheckpoint = Callable[[RunFolder], object]
"""The type of a callback that is given the run folder after each checkpoint (to draw loss curves, for example)."""


def run_training(
    kind: type[C],
    build: Callable[[C], Training[Any, R]],
    config: C | None,
    run: str | Path,
    *,
    resume: bool,
    show_progress: bool,
    on_checkpoint: OnCheckpoint | None,
) -> R:
    """Build a training from its config and run it in the folder ``run``, leaving the caller's random state unchanged.

    Args:
        kind: the class of the config; with ``resume`` the run's own is read.

    Raises:
        ConfigError: if the folder exists (without ``resume``), or is no run; if the schedule does not fit the epochs.
    """
    folder = RunFolder(run)
    if resume:
        config = read_as(kind, folder.config)
        resume = folder.checkpoint_epoch() is not None  # else it died at once, and begins again
    elif config is None:
        raise ConfigError(
            f"training needs a config: got None, expected a {kind.__name__}. Fix: pass one of passerby.recipes, or "
            "resume=True"
        )
    if not resume:
        folder.check_new()  # before any work
        check_schedule(cast(Scheduled, config))
    with _preserved_random_state():
        return Engine(
            build(config), folder, resume=resume, show_progress=show_progress, on_checkpoint=on_checkpoint
        ).run()


class Engine(Generic[B, R]):
    """A run of one training in one folder."""

    def __init__(
        self,
        training: Training[B, R],
        folder: RunFolder,
        *,
        resume: bool,
        show_progress: bool,
        on_checkpoint: OnCheckpoint | None,
    ) -> None:
        self.training, self.config, self.folder, self.resume = training, training.config, folder, resume
        self.main = training.rank == 0
        self.show_progress, self.on_checkpoint = show_progress and self.main, on_checkpoint

    def run(self) -> R:
        """Train from the first epoch or the newest checkpoint to the end, and return the training's result."""
        try:
            with ExitStack() as stack:
                first = self._resume(stack) if self.resume else self._start(stack)
                with self._monitor(first) as monitor:
                    self._say_unreached(monitor)
                    self.training.prepare(monitor)
                    self._make_up_evaluation(first, monitor)
                    for epoch in range(first, self.config.epochs):
                        if self.training.finished:
                            break
                        self._epoch(epoch, monitor)
                        self._after_epoch(epoch + 1, monitor)
                return self.training.finish(self.folder)
        except OSError as error:
            raise self.folder.unwritable(error) from None

    def _start(self, stack: ExitStack) -> int:
        if self.main:
            self.training.create(self.folder)
            stack.enter_context(self.folder.locked())
        self.training.wait()
        self._save(0)  # an interruption in the first epoch leaves something to resume from
        return 0

    def _resume(self, stack: ExitStack) -> int:
        if self.main:
            stack.enter_context(self.folder.locked())
        checkpoint = self.folder.latest_checkpoint()
        self.folder.check_world_size(checkpoint, self.training.world)
        if self.main:
            self.training.check_inputs(self.folder)
        try:
            self.training.load_state(checkpoint)
        except Exception as error:  # noqa: BLE001 - a damaged file can break its reader anywhere
            raise WeightsError(
                f"'{checkpoint}' cannot be resumed from: {error}. Fix: train again under another --run"
            ) from None
        epoch = int(checkpoint.name.removeprefix("epoch-"))
        if self.main:
            self.folder.cut_log(epoch * self.training.steps)
        self.training.wait()
        return epoch

    def _say_unreached(self, monitor: Monitor) -> None:
        if never := unreached(self.config):
            monitor.message(
                f"schedule.milestones {', '.join(f'{m:g}' for m in never)} lie at or after the end, "
                f"epochs={self.config.epochs}: the learning rate does not fall there"
            )

    def _make_up_evaluation(self, epoch: int, monitor: Monitor) -> None:
        """Make the evaluation that is due after ``epoch`` if the run was killed before it was logged."""
        logged = any(entry["step"] == epoch * self.training.steps for entry in self.folder.evaluations())
        if epoch and not logged:
            self._evaluate(epoch, monitor)

    def _monitor(self, first_epoch: int) -> Monitor:
        steps = self.training.steps
        total, done = self.config.epochs * steps, first_epoch * steps
        return Monitor(self.folder, total, done=done, active=self.main, show=self.show_progress)

    def _epoch(self, epoch: int, monitor: Monitor) -> None:
        training = self.training
        torch.manual_seed(self.config.seed * 1_000_003 + epoch * 1_009 + training.rank)
        started = time.perf_counter()
        for index, batch in enumerate(training.batches(epoch)):
            done = index + 1
            update = done % training.accumulate == 0 or done == training.steps
            loss, lr = self._step(batch, epoch + index / training.steps, monitor.step + 1, update=update)
            seconds, started = time.perf_counter() - started, time.perf_counter()
            images = len(training.tensors(batch)["images"]) * training.world
            monitor.log(epoch, loss, lr, images_per_second=images / seconds)

    def _step(self, batch: B, progress: float, step: int, *, update: bool) -> tuple[LossParts, float]:
        """Run forward, backward and, where due, an update; return the loss and the learning rate."""
        training, config = self.training, self.config
        lr = set_lr(training.optimizer, lr_factor(progress, schedule=config.schedule, epochs=config.epochs))
        with training.synchronization(update=update):
            loss = training.compute_loss(batch)
            if not math.isfinite(loss.total.item()):
                self._stop(batch, loss, step)
            training.backward(loss.total)
        if update:
            training.update()
        return loss, lr

    def _stop(self, batch: B, loss: LossParts, step: int) -> None:
        saved = self.folder.path / "failed-batch.safetensors"
        tensors = self.training.tensors(batch).items()
        kept = f"the batch is saved in '{saved}'"
        try:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors}, saved)
        except (OSError, SafetensorError) as error:
            kept = f"the batch could not be saved: {first_line(error)}"
        parts = ", ".join(f"{name} {value.item():.4g}" for name, value in loss.parts.items())
        raise TrainingError(
            f"the loss is not finite at step {step} ({parts}); {kept}. Fix: lower optimizer.lr or set precision=no, "
            "then start again or resume from the last checkpoint"
        )

    def _after_epoch(self, done: int, monitor: Monitor) -> None:
        if done % self.config.checkpoint_every == 0 or done == self.config.epochs:
            self._checkpoint(done)
        self._evaluate(done, monitor)

    def _checkpoint(self, epoch: int) -> None:
        self._save(epoch)
        if self.main and self.on_checkpoint is not None:
            self.on_checkpoint(self.folder)

    def _evaluate(self, epoch: int, monitor: Monitor) -> None:
        result = self.training.evaluate_after(epoch)
        if result is not None:
            monitor.log_evaluation(epoch, result)

    def _save(self, epoch: int) -> None:
        """Write a checkpoint, completely or not at all.

        Raises:
            OutputError: if it cannot be written; the one before stays.
        """
        partial = self.folder.checkpoints / ".partial"
        try:
            if self.main:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
            self.training.wait()
            self.training.save_state(partial)
            self.training.wait()
            if self.main:
                self.folder.adopt_checkpoint(partial, epoch, world=self.training.world)
        except (RuntimeError, SafetensorError) as error:  # what torch and safetensors raise where writing fails
            raise OutputError(
                f"cannot write a checkpoint into '{self.folder.path}': {first_line(error)}. Fix: make room, then "
                f"continue with --resume {self.folder.path}"
            ) from None
        finally:
            if self.main:
                shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _preserved_random_state() -> Iterator[None]:
    """Restore the global generators of torch, NumPy and Python afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - accelerate restores the legacy one
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
