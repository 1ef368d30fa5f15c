"""Learning-rate schedules at points computed by hand."""

from __future__ import annotations

import pytest

from passerby.training.config import ScheduleConfig
from passerby.training.schedule import lr_factor


def factors(schedule: ScheduleConfig, at: list[float], epochs: int = 10) -> list[float]:
    return [lr_factor(epoch, schedule=schedule, epochs=epochs) for epoch in at]


def test_constant_is_one() -> None:
    assert factors(ScheduleConfig(name="constant"), [0, 3.5, 9.9]) == [1, 1, 1]


def test_steps_multiply_from_each_milestone_on() -> None:
    schedule = ScheduleConfig(name="step", milestones=(4, 7), gamma=0.1)
    assert factors(schedule, [0, 3.99, 4, 6.9, 7]) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_warm_up_is_linear_from_its_factor() -> None:
    schedule = ScheduleConfig(name="step", warmup_epochs=2, warmup_factor=0.01)
    assert factors(schedule, [0, 1, 2]) == pytest.approx([0.01, 0.505, 1])


def test_cosine_falls_to_its_final_factor_after_the_warm_up() -> None:
    schedule = ScheduleConfig(name="cosine", warmup_epochs=2, warmup_factor=0.5, final_factor=0.1)
    assert factors(schedule, [0, 2, 6, 10]) == pytest.approx([0.5, 1, 0.55, 0.1])
