"""How the training went: losses, learning rate, accuracy between epochs; all runs over each other."""

from __future__ import annotations

from collections.abc import Sequence

from passerby.figures.style import STYLES
from passerby.figures.training_curves import TrainingHistory, training_figure
from passerby.report.components import Content, table
from passerby.report.figure import drawn
from passerby.report.inputs.run import Run, Section, count


def curves(runs: Sequence[Run]) -> Section:
    histories = [TrainingHistory.from_run(run.record.path, run.label) for run in runs if run.record.log]
    if not histories:
        return Section("curves", "Training curves", ())
    content: list[Content] = []
    for first in range(0, len(histories), len(STYLES)):
        some = histories[first : first + len(STYLES)]
        alt = f"Curves of the training of {' and '.join(each.name for each in some)}: {_went(some)}."
        caption = "Losses by part, each step pale and its running mean strong; the learning rate; and, where the run "
        caption += "evaluated between epochs, rank-1 and mAP. Runs differ in color and in the dashes of their lines."
        content.append(drawn(training_figure(some), alt=alt, caption=caption))
    return Section("curves", "Training curves", (*content, _ends(histories)))


def _went(histories: Sequence[TrainingHistory]) -> str:
    return "; ".join(
        f"the loss of {each.name} goes from {each.losses['loss'][0]:.3g} to {each.losses['loss'][-1]:.3g} in "
        f"{each.epochs[-1]:.3g} epochs"
        for each in histories
    )


def _ends(histories: Sequence[TrainingHistory]) -> Content:
    """What the curves come to, for who cannot see them."""
    parts = list(dict.fromkeys(part for each in histories for part in each.losses))
    rows: list[tuple[Content, ...]] = [("steps", *(count(len(each.steps)) for each in histories))]
    rows.append(("epochs", *(f"{each.epochs[-1]:.4g}" for each in histories)))
    rows += [(_named(part), *(_last(each, part) for each in histories)) for part in parts]
    return table("The last step", ("curve", *(each.name for each in histories)), rows)


def _named(part: str) -> str:
    return "loss, the whole" if part == "loss" else f"loss: {part}"


def _last(history: TrainingHistory, part: str) -> str:
    return f"{history.losses[part][-1]:.4f}" if part in history.losses else "–"
