"""The learning rate as a pure function of progress, so that a resumed run needs no state for it."""

from __future__ import annotations

import math

from passerby.training.config import ScheduleConfig


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
