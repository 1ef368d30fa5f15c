"""The loss curves of a run, as a picture. :mod:`passerby.figures.training_curves` draws more of them, and of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from passerby.files import atomic_write

_NOT_LOSSES = {"step", "epoch", "lr", "images_per_second"}
_WINDOWS = 50
"""A running mean is over one of so many parts of the steps."""


def loss_names(log: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The loss and its parts, in the order in which a run logs them."""
    return tuple(name for name in log[0] if name not in _NOT_LOSSES) if log else ()


def running_mean(
    places: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each fiftieth of the values, at the place of its last one."""
    window = max(1, len(values) // _WINDOWS)
    return places[window - 1 :], np.convolve(values, np.ones(window) / window, mode="valid")


def save_loss_curves(log: list[dict[str, Any]], path: Path) -> None:
    """Draw every loss part over steps (pale: each step; strong: a running mean) and write ``path`` whole."""
    if not log:
        return
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = np.array([entry["step"] for entry in log], np.float64)
    for name in loss_names(log):
        values = np.array([entry[name] for entry in log], np.float64)
        (line,) = axes.plot(steps, values, alpha=0.2, linewidth=0.8)
        axes.plot(*running_mean(steps, values), color=line.get_color(), label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=110)
