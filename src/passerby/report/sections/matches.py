"""Match explanations: what a query and its nearest image have in common for the model, true match and false match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from markupsafe import Markup

from passerby.data.dataset import Dataset, Split
from passerby.errors import PasserbyError
from passerby.explain.matching.explanation import explain_match
from passerby.explain.ranked_lists import Outcome, Selection, ranked_lists, select_queries
from passerby.figures.match import match_figure
from passerby.report.components import heading, paragraph
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import ModelEvaluation
from passerby.report.inputs.run import Run, evaluated_with_model
from passerby.report.registry import section
from passerby.types import Sample

_SHOWN: dict[Outcome, tuple[Selection, str]] = {"true match": ("best", "highest"), "false match": ("worst", "lowest")}
"""The order of average precision by which a query is selected, for each outcome of its nearest image."""


@section("matches", "Match explanations", order=70, needs="model")
def matches(runs: Sequence[Run]) -> Iterator[str]:
    """Yield an explained true match and an explained false match of every run."""
    for run, evaluation in evaluated_with_model(runs):
        if evaluation.result.protocol.draws:
            continue
        yield heading(f"Explained matches of {run.label}")
        for outcome in _SHOWN:
            try:
                yield _figure(run, evaluation, outcome)
            except PasserbyError as error:  # noqa: PERF203 - either may fail alone
                yield paragraph(f"A {outcome} is not explained: {error}")


def _figure(run: Run, evaluation: ModelEvaluation, outcome: Outcome) -> Markup:
    selection, ranked = _SHOWN[outcome]
    row = _row(evaluation, selection, outcome)
    if row is None:
        return paragraph(f"No query has a {outcome} as its nearest image.")
    protocol = evaluation.result.protocol
    (one,) = ranked_lists(evaluation.query, evaluation.gallery, protocol, torch.tensor([row]), k=1)
    query = _sample(evaluation.dataset, "query", one.path)
    nearest = _sample(evaluation.dataset, "gallery", one.hits[0].path)
    images = evaluation.images
    explained = explain_match(evaluation.model, images, query, images, nearest, protocol=protocol)
    figure = match_figure(explained, title=f"{run.label} on {evaluation.spec}")
    caption = (
        f"A {outcome}: of the queries whose nearest image is a {outcome}, the one with the {ranked} average precision, "
    )
    caption += f"with that image. In words: {explained.sentence}"
    alt = f"A query and its nearest image, a {outcome}, compared. {explained.sentence}"
    return show_figure(figure, alt=alt, caption=caption)


def _row(evaluation: ModelEvaluation, selection: Selection, outcome: Outcome) -> int | None:
    """Return the row of the query to show; ``None`` where no query's nearest image has this outcome."""
    each = evaluation.result.per_query
    assert each is not None  # the protocol has no random galleries
    first = dict(zip(each.paths, each.first_rank.tolist(), strict=True))
    query, gallery = evaluation.query, evaluation.gallery
    order = select_queries(query, gallery, evaluation.result.protocol, selection, len(query)).tolist()
    found = outcome == "true match"
    return next((row for row in order if (first[query.paths[row]] == 1) == found), None)


def _sample(dataset: Dataset, split: Split, path: str) -> Sample:
    return next(sample for sample in dataset.split(split) if sample.path == path)
