"""The loss curves of a run, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from passerby.files import written_whole

_NOT_LOSSES = {"step", "epoch", "lr", "images_per_second"}


def save_loss_curves(log: list[dict[str, Any]], path: Path) -> None:
    """Draw every loss part over steps (pale: each step; strong: a running mean) and write ``path`` whole."""
    if not log:
        return
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = np.array([entry["step"] for entry in log])
    for name in (n for n in log[0] if n not in _NOT_LOSSES):
        values = np.array([entry[name] for entry in log])
        (line,) = axes.plot(steps, values, alpha=0.2, linewidth=0.8)
        window = max(1, len(values) // 50)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axes.plot(steps[window - 1 :], smooth, color=line.get_color(), label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=110)
