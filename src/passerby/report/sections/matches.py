"""Why: what makes a query and its nearest picture alike for the model, of one that is right and one that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from passerby.data.dataset import Dataset, Split
from passerby.errors import PasserbyError
from passerby.explain.images import ImageSet
from passerby.explain.matching.explanation import explain_match
from passerby.explain.ranked_lists import Outcome, Selection, ranked_lists, select_queries
from passerby.figures.match import match_figure
from passerby.report.components import Content, Html, element, paragraph
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, tested
from passerby.types import Sample

_SHOWN: dict[Outcome, tuple[Selection, str]] = {"true match": ("best", "highest"), "false match": ("worst", "lowest")}
"""Of the queries whose nearest picture is such, the one that stands first by average precision is shown."""


def why(runs: Sequence[Run]) -> Section:
    content: list[Content] = []
    for run, found in tested(runs):
        if not found.result.protocol.draws:
            content += _of(run, found)
    return Section("why", "Why these two", tuple(content))


def _of(run: Run, found: Tested) -> Iterable[Content]:
    assert run.album is not None
    yield element("h3", f"What {run.label} sees in common")
    for outcome in _SHOWN:
        try:
            yield _figure(run, found, run.album, outcome)
        except PasserbyError as error:  # noqa: PERF203 - either may fail alone
            yield paragraph(f"A {outcome} is not explained: {error}")


def _figure(run: Run, found: Tested, album: ImageSet, outcome: Outcome) -> Html:
    row = _row(found, outcome)
    if row is None:
        return paragraph(f"There is no query whose nearest picture is a {outcome}.")
    protocol = found.result.protocol
    (one,) = ranked_lists(found.query, found.gallery, protocol, torch.tensor([row]), k=1)
    query = _sample(found.dataset, "query", one.path)
    answer = _sample(found.dataset, "gallery", one.hits[0].path)
    explained = explain_match(found.model, album, query, album, answer, protocol=protocol)
    caption = f"A {outcome}: of the queries whose nearest picture is a {outcome}, the one of {_SHOWN[outcome][1]} "
    caption += "average precision, with that picture."
    alt = f"A query and its nearest picture, which is a {outcome}, compared. {explained.sentence}"
    figure = match_figure(explained, title=f"{run.label} on {found.spec}")
    return drawn(figure, alt=alt, caption=[caption, " In words: ", explained.sentence])


def _row(found: Tested, outcome: Outcome) -> int | None:
    """Of the query that shows such an answer; ``None`` where no query's nearest picture is such."""
    each = found.result.per_query
    assert each is not None  # no galleries are drawn
    first = dict(zip(each.paths, each.first_rank.tolist(), strict=True))
    order = select_queries(
        found.query, found.gallery, found.result.protocol, _SHOWN[outcome][0], len(found.query)
    ).tolist()
    right = outcome == "true match"
    return next((row for row in order if (first[found.query.paths[row]] == 1) == right), None)


def _sample(dataset: Dataset, split: Split, path: str) -> Sample:
    return next(sample for sample in dataset.split(split) if sample.path == path)
