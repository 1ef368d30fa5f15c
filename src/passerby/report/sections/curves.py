"""The training curves: losses, learning rate, and accuracy between epochs, all runs in one figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from passerby.figures.style import STYLES
from passerby.figures.training_curves import TrainingHistory, training_figure
from passerby.report.components import DASH, count, table
from passerby.report.figure import show_figure
from passerby.report.inputs.run import Run
from passerby.report.registry import section

_CAPTION = (
    "Losses by part, each step pale and the running mean strong; the learning rate; and rank-1 and mAP, where the run "
    "was evaluated between epochs. Runs differ in color and line style."
)


@section("curves", "Training curves", order=40, needs="folder")
def curves(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the curves of all runs with a training log, and the values of the last step."""
    histories = [TrainingHistory.from_run(run.record.path, run.label) for run in runs if run.record.log]
    for first in range(0, len(histories), len(STYLES)):
        some = histories[first : first + len(STYLES)]
        alt = f"Training curves of {' and '.join(each.name for each in some)}: {_losses(some)}."
        yield show_figure(training_figure(some), alt=alt, caption=_CAPTION)
    if histories:
        yield _last_step(histories)


def _losses(histories: Sequence[TrainingHistory]) -> str:
    return "; ".join(
        f"the loss of {each.name} goes from {each.losses['loss'][0]:.3g} to {each.losses['loss'][-1]:.3g} in "
        f"{each.epochs[-1]:.3g} epochs"
        for each in histories
    )


def _last_step(histories: Sequence[TrainingHistory]) -> Markup:
    """Return the last values of the curves, for readers who cannot see the figure."""
    parts = list(dict.fromkeys(part for each in histories for part in each.losses))
    rows: list[tuple[str, ...]] = [("steps", *(count(len(each.steps)) for each in histories))]
    rows.append(("epochs", *(f"{each.epochs[-1]:.4g}" for each in histories)))
    rows += [(_title(part), *(_last(each, part) for each in histories)) for part in parts]
    return table("The last step", ("curve", *(each.name for each in histories)), rows)


def _title(part: str) -> str:
    return "total loss" if part == "loss" else f"loss: {part}"


def _last(history: TrainingHistory, part: str) -> str:
    return f"{history.losses[part][-1]:.4f}" if part in history.losses else DASH
