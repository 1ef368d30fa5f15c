"""Training curves: every part of the loss, the learning rate and, where a run evaluated while it trained, its metrics.

Paper 000 (channel-wise attention), Fig 4 lays the losses of a backbone with and without attention over each other. This
figure does so for any number of runs, with one panel per curve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from passerby.compat import current_settings
from passerby.errors import ConfigError
from passerby.figures.layout import wrap_text
from passerby.figures.panels import draw_line
from passerby.figures.registry import figure
from passerby.figures.style import FONT, SERIES, STYLES
from passerby.files import atomic_write
from passerby.training.run import RunFolder

Over = Literal["epoch", "step"]
Values = NDArray[np.float64]
_WIDTH, _HEIGHT, _LINE, _COLUMNS = 3.3, 2.5, 0.19, 3  # inches of a panel and of a line of the legend; panels per row
_TOTAL, _RATE = "loss", "learning rate"
_NOT_LOSSES = {"step", "epoch", "lr", "images_per_second"}
_WINDOWS = 50
"""The number of parts of the steps, over one of which a running mean goes."""
LOSSES_PNG = "losses.png"
"""The file of a run folder that :func:`save_loss_curves` draws."""


class Evaluated(NamedTuple):
    """The metrics on the test data, in [0, 1]; larger is better."""

    step: int
    epoch: float
    """The number of finished epochs."""
    rank1: float
    mean_ap: float | None


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """The training log of a run, one value per step."""

    name: str
    steps: Values
    epochs: Values
    """The number of finished epochs after each step."""
    losses: Mapping[str, Values]
    """The total, called ``loss``, first; then its weighted parts."""
    lr: Values
    evaluated: tuple[Evaluated, ...]
    """The evaluations between epochs, if the run made them, and at its end."""
    data: str | None = None
    """The training data, where the run recorded it."""

    @classmethod
    def from_run(cls, run: str | Path, name: str | None = None) -> TrainingHistory:
        """Read the history of a run folder; by default it has the name of the folder.

        Raises:
            ConfigError: if the folder does not exist, or its log of steps is missing or damaged.
        """
        folder = RunFolder(run)
        if not folder.path.is_dir():
            raise ConfigError(
                f"the folder {folder.path} does not exist. Fix: give the folder of a run that passerby trained"
            )
        try:
            log, between = folder.log(), folder.evaluations()
            if not log:
                raise ConfigError(
                    f"{folder.path} has no log of its training (no {folder.metrics_log.name}): it was imported, or has "
                    "not done a step. Fix: give the folder of a run that passerby trained"
                )
            losses = {part: _column(log, part) for part in loss_names(log)}
            steps, epochs = _column(log, "step"), _progress(_column(log, "epoch"))
            ends = _final_evaluation(folder.path / "metrics.json", int(steps[-1]), float(epochs[-1]))
            evaluated = (*(_evaluated(entry) for entry in between), *ends)
            data = _data(folder.config)
            return cls(name or folder.path.name, steps, epochs, losses, _column(log, "lr"), evaluated, data)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"the log of {folder.path} is damaged ({error!r}). Fix: train the run again") from None


def _column(log: Sequence[Mapping[str, Any]], name: str) -> Values:
    return np.array([entry[name] for entry in log], np.float64)


def _progress(epoch: Values) -> Values:
    """Return the number of finished epochs after each step; epochs are equally long, but the last may be unfinished."""
    _, place, lengths = np.unique(epoch, return_inverse=True, return_counts=True)
    before = np.cumsum(lengths) - lengths
    done: Values = epoch + (np.arange(len(epoch)) - before[place] + 1) / lengths.max()
    return done


def _evaluated(entry: Mapping[str, Any]) -> Evaluated:
    return Evaluated(entry["step"], entry["epoch"], entry["rank1"], entry["mean_ap"])


def _data(config: Path) -> str | None:
    values = current_settings(json.loads(config.read_text())) if config.is_file() else {}
    data = values.get("data")
    return data.get("train") if isinstance(data, dict) else data


def _final_evaluation(file: Path, step: int, epoch: float) -> tuple[Evaluated, ...]:
    """Return the evaluation at the end; a pose network has other metrics."""
    values = current_settings(json.loads(file.read_text())) if file.is_file() else {}
    return (Evaluated(step, epoch, values["cmc"]["1"], values["mean_ap"]),) if "cmc" in values else ()


@figure("curves", title="Training curves", needs="log", several=True, section="curves")
def training_figure(
    runs: Sequence[TrainingHistory],
    *,
    title: str = "Training curves",
    over: Annotated[Over, "Unit of the horizontal axis."] = "epoch",
) -> Figure:
    """Draw losses, learning rate and, if evaluated between epochs, rank-1 and mAP; several runs over each other.

    Args:
        title: the beginning of the title; the training data, if all runs have the same, and a key are added.
        over: the unit of the horizontal axis.

    Raises:
        ConfigError: if there are no runs, or more than line styles.
    """
    if not 1 <= len(runs) <= len(STYLES):
        raise ConfigError(
            f"a figure of curves shows 1 to {len(STYLES)} runs, got {len(runs)}. Fix: make several figures"
        )
    panels = _panels(runs, over)
    columns = 2 if len(panels) == 4 else min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = max(5.0, _WIDTH * columns), _HEIGHT * rows + 0.5 + _LINE * len(runs)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    figure.suptitle(wrap_text(_heading(title, runs), size[0]), fontsize=FONT + 1)
    places = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, draw) in zip(places.flat, panels.items(), strict=False):
        draw(axes)
        axes.set_title(name, fontsize=FONT + 1)
        axes.set_xlabel(over, fontsize=FONT)
        axes.tick_params(labelsize=FONT)
        axes.grid(alpha=0.3)
    for axes in places.flat[len(panels) :]:
        axes.remove()
    lines = [draw_line(places.flat[0], number, [], [], label=_label(run)) for number, run in enumerate(runs)]
    figure.legend(handles=lines, loc="outside lower center", fontsize=FONT, frameon=False, handlelength=4)
    return figure


def _heading(title: str, runs: Sequence[TrainingHistory]) -> str:
    data = {run.data for run in runs}
    (on,) = data if len(data) == 1 else {None}
    return f"{title}{f' on {on}' if on else ''}: each step pale, its running mean strong"


def _panels(runs: Sequence[TrainingHistory], over: Over) -> dict[str, Callable[[Axes], None]]:
    """Return the panels by title, in their order."""
    parts = list(dict.fromkeys(part for run in runs for part in run.losses))
    panels: dict[str, Callable[[Axes], None]] = {}
    for part in parts:
        having = [run for run in runs if part in run.losses]
        whose = "" if len(having) == len(runs) else f" (in {len(having)} of {len(runs)} runs)"
        name = "total loss" if part == _TOTAL else f"loss: {part}{whose}"
        panels[name] = partial(_losses, runs=runs, part=part, over=over)
    panels[_RATE] = partial(_rates, runs=runs, over=over)
    if any(len(run.evaluated) > 1 for run in runs):
        for name, field in (("rank-1, %", "rank1"), ("mAP, %", "mean_ap")):
            panels[name] = partial(_numbers, runs=runs, field=field, over=over)
    return panels


def _losses(axes: Axes, runs: Sequence[TrainingHistory], part: str, over: Over) -> None:
    for number, run in enumerate(runs):
        if part in run.losses:
            places, values = getattr(run, f"{over}s"), run.losses[part]
            axes.plot(places, values, color=SERIES[number], alpha=0.15, linewidth=0.6)
            draw_line(axes, number, *running_mean(places, values))
    if all(run.losses[part].min() >= 0 for run in runs if part in run.losses):
        axes.set_ylim(bottom=0)


def _rates(axes: Axes, runs: Sequence[TrainingHistory], over: Over) -> None:
    for number, run in enumerate(runs):
        draw_line(axes, number, getattr(run, f"{over}s"), run.lr)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    axes.yaxis.get_offset_text().set_fontsize(FONT)
    axes.set_ylim(bottom=0)


def _numbers(axes: Axes, runs: Sequence[TrainingHistory], field: str, over: Over) -> None:
    for number, run in enumerate(runs):
        known = [each for each in run.evaluated if getattr(each, field) is not None]
        draw_line(
            axes,
            number,
            [getattr(each, over) for each in known],
            [100 * getattr(each, field) for each in known],
            marker="o",
            markersize=3.5,
        )


def _label(run: TrainingHistory) -> str:
    """Return the name of a run with its final metrics."""
    if not run.evaluated:
        return run.name
    last = run.evaluated[-1]
    precision = "" if last.mean_ap is None else f", mAP {100 * last.mean_ap:.1f}\u00a0%"
    return f"{run.name}: rank-1 {100 * last.rank1:.1f}\u00a0%{precision} at the end"


def loss_names(log: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of the loss and its parts, in the order in which a run logs them."""
    return tuple(name for name in log[0] if name not in _NOT_LOSSES) if log else ()


def running_mean(
    places: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the running mean over a fiftieth of the values, at the place of the last one of each window."""
    window = max(1, len(values) // _WINDOWS)
    return places[window - 1 :], np.convolve(values, np.ones(window) / window, mode="valid")


def save_loss_curves(run: RunFolder) -> None:
    """Draw every loss part over steps into the run's ``losses.png`` (pale: each step; strong: a running mean).

    This is what ``passerby train`` passes to :func:`passerby.training.loop.train` as ``on_checkpoint``.
    """
    log = run.log()
    if not log:
        return
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = _column(log, "step")
    for name in loss_names(log):
        values = _column(log, name)
        (line,) = axes.plot(steps, values, alpha=0.2, linewidth=0.8)
        axes.plot(*running_mean(steps, values), color=line.get_color(), label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    with atomic_write(run.path / LOSSES_PNG) as partial:
        figure.savefig(partial, dpi=110)
