"""The learning rate as a pure function of progress, so that a resumed run needs no state for it."""

from __future__ import annotations

import math
from typing import Protocol

from passerby.errors import ConfigError
from passerby.training.config import ScheduleConfig


class Scheduled(Protocol):
    """The settings of any training with a schedule."""

    @property
    def epochs(self) -> int: ...
    @property
    def schedule(self) -> ScheduleConfig: ...


def check_schedule(config: Scheduled) -> None:
    """Check that the warm-up ends before the training does.

    Raises:
        ConfigError: if it does not: the learning rate would never be the one that was asked for.
    """
    warmup, epochs = config.schedule.warmup_epochs, config.epochs
    if epochs and warmup >= epochs:  # of no epochs there is no schedule
        raise ConfigError(
            f"schedule.warmup_epochs is {warmup:g}, which does not end within epochs={epochs}: the learning rate would "
            f"only rise. Fix: set schedule.warmup_epochs={min(warmup, epochs / 10):g}, or epochs above {warmup:g}"
        )


def unreached(config: Scheduled) -> tuple[float, ...]:
    """Return the milestones that the training never reaches."""
    schedule = config.schedule
    return tuple(m for m in schedule.milestones if m >= config.epochs) if schedule.name == "step" else ()


def lr_factor(epoch: float, *, schedule: ScheduleConfig, epochs: int) -> float:
    """Return the factor of the base learning rate after ``epoch`` epochs (a fraction within an epoch).

    The warm-up rises linearly from ``warmup_factor`` to 1 and multiplies the schedule itself.
    """
    warm = 1.0
    if epoch < schedule.warmup_epochs:
        warm = schedule.warmup_factor + (1 - schedule.warmup_factor) * epoch / schedule.warmup_epochs
    if schedule.name == "step":
        return warm * schedule.gamma ** sum(epoch >= m for m in schedule.milestones)
    if schedule.name == "cosine":
        span = max(epochs - schedule.warmup_epochs, 1e-9)
        progress = min(max(epoch - schedule.warmup_epochs, 0.0) / span, 1.0)
        return warm * (schedule.final_factor + (1 - schedule.final_factor) * (1 + math.cos(math.pi * progress)) / 2)
    return warm
