"""The interface between the engine and what it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from passerby.losses.base import LossParts
from passerby.training.config import ScheduleConfig
from passerby.training.monitor import Monitor
from passerby.training.run import RunFolder
from passerby.types import EvalResult

B = TypeVar("B")
"""The type of a batch."""
R = TypeVar("R")
"""The type of a finished training's result."""


class EngineConfig(Protocol):
    """The settings that the engine reads, whatever is trained."""

    @property
    def epochs(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def schedule(self) -> ScheduleConfig: ...
    @property
    def checkpoint_every(self) -> int: ...


class Training(ABC, Generic[B, R]):
    """The parts of a run that depend on what is trained: data, model, loss, optimizer and the evaluation.

    A constructor builds everything that can fail, so that nothing is written for a run that cannot start.
    """

    config: EngineConfig
    optimizer: torch.optim.Optimizer
    accumulate: int = 1
    """The number of batches whose gradients are added before an update."""
    rank: int = 0
    """The index of this process; process 0 writes the files."""
    world: int = 1
    """The number of processes."""
    finished: bool = False
    """A flag: the training ends before its last epoch."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """The number of batches per epoch."""

    @abstractmethod
    def create(self, folder: RunFolder) -> None:
        """Write the run folder with its config and other receipts; called on process 0."""

    def check_inputs(self, folder: RunFolder) -> None:
        """Check, before a run is resumed, that it reads what it began with; called on process 0.

        Raises:
            ConfigError: if it does not.
        """

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[B]:
        """Return the batches of epoch ``epoch``, counted from 0, with the model in training mode."""

    @abstractmethod
    def compute_loss(self, batch: B) -> LossParts:
        """Run the model forward and return its loss."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a batch's total loss."""

    @abstractmethod
    def tensors(self, batch: B) -> dict[str, Tensor]:
        """Return the ``images`` of a batch and what else is kept of one whose loss is not finite."""

    @abstractmethod
    def save_state(self, folder: Path) -> None:
        """Write everything that :meth:`load_state` restores; called on every process."""

    @abstractmethod
    def load_state(self, folder: Path) -> None:
        """Restore model and optimizer from a checkpoint."""

    @abstractmethod
    def finish(self, folder: RunFolder) -> R:
        """Write the trained model, evaluate it, and return the result."""

    def prepare(self, monitor: Monitor) -> None:
        """Prepare what is needed before the first epoch; progress goes to ``monitor``."""

    def synchronization(self, *, update: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - one process has none
        """Return the context of forward and backward; several processes exchange gradients only before an update."""
        return nullcontext()

    def update(self) -> None:
        """Apply the gradients and clear them."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def evaluate_after(self, epoch: int) -> EvalResult | None:  # noqa: ARG002 - by default none is due
        """Return the evaluation after ``epoch`` epochs, or ``None`` where none is due."""
        return None

    def wait(self) -> None:
        """Wait for the other processes."""
