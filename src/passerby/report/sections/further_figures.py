"""Further figures: those of the figure registry that no other section shows, such as the figures of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.errors import PasserbyError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.images import ModelView
from passerby.figures.registry import FIGURES, Need, RegisteredFigure
from passerby.figures.training_curves import TrainingHistory
from passerby.report.components import heading, paragraph
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import ModelEvaluation
from passerby.report.inputs.run import Run, evaluated_embeddings, view_queries
from passerby.report.registry import section


@section("figures", "Further figures", order=115)
def further_figures(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the registered figures that name no section, for each run or for all runs on the same data."""
    for entry in (FIGURES[name] for name in FIGURES):
        if entry.section is None and (blocks := list(_blocks(entry, runs))):
            yield heading(entry.title)
            yield from blocks


def _blocks(entry: RegisteredFigure, runs: Sequence[Run]) -> Iterator[Markup]:
    groups: dict[str | None, list[tuple[str, Any]]] = {}
    for run in runs:
        data = run.evaluation.spec if run.evaluation and entry.needs != "log" else None
        try:
            subject = _SUBJECTS[entry.needs](run)
        except PasserbyError as error:
            yield paragraph(f"Not shown for {run.label}: {error}")
        else:
            if subject is not None:
                groups.setdefault(data, []).append((run.label, subject))
    for data, members in groups.items():
        for some in [members] if entry.several else [[each] for each in members]:
            yield _figure(entry, some, "" if data is None else f" on {data}")


def _figure(entry: RegisteredFigure, members: Sequence[tuple[str, Any]], place: str) -> Markup:
    title = f"{entry.title}: {' and '.join(label for label, _ in members)}{place}"
    subjects = [subject for _, subject in members]
    try:
        drawn = entry.draw(subjects if entry.several else subjects[0], title=title)
    except PasserbyError as error:
        return paragraph(f"Not shown, {title}: {error}")
    return show_figure(drawn, alt=f"{title}. {entry.summary}", caption=f"{title}. {entry.summary}")


def _log(run: Run) -> TrainingHistory | None:
    return TrainingHistory.from_run(run.record.path, run.label) if run.record.log else None


def _embeddings(run: Run) -> EvaluatedEmbeddings | None:
    return evaluated_embeddings(run, run.evaluation) if run.evaluation else None


def _samples(run: Run) -> ModelView | None:
    return view_queries(run.evaluation) if isinstance(run.evaluation, ModelEvaluation) else None


_SUBJECTS: dict[Need, Callable[[Run], Any]] = {"log": _log, "embeddings": _embeddings, "samples": _samples}
"""The first argument of a figure, by what the figure needs; ``None`` where the run lacks it."""
