"""Why: what makes a query and its nearest picture alike for the model, of one that is right and one that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passerby.data.dataset import Dataset, Split
from passerby.errors import PasserbyError
from passerby.explain.album import Album
from passerby.explain.match import explain_match
from passerby.explain.match_figure import match_figure
from passerby.explain.ranked import Which, choose, ranked_lists
from passerby.explain.report.html import Content, Html, element, paragraph
from passerby.explain.report.picture import drawn
from passerby.explain.report.run import Run, Section, tested
from passerby.explain.report.tested import Tested
from passerby.types import Sample

_SHOWN: dict[Which, str] = {"best": "A right answer", "worst": "A wrong answer"}


def why(runs: Sequence[Run]) -> Section:
    content: list[Content] = []
    for run, found in tested(runs):
        if not found.result.protocol.draws:
            content += _of(run, found)
    return Section("why", "Why these two", tuple(content))


def _of(run: Run, found: Tested) -> Iterable[Content]:
    assert run.album is not None
    yield element("h3", f"What {run.label} sees in common")
    for which, title in _SHOWN.items():
        try:
            yield _figure(run, found, run.album, which, title)
        except PasserbyError as error:  # noqa: PERF203 - either may fail alone
            yield paragraph(f"{title} is not explained: {error}")


def _figure(run: Run, found: Tested, album: Album, which: Which, title: str) -> Html:
    """The query of highest or lowest average precision, and what stands first in its list."""
    protocol = found.result.protocol
    rows = choose(found.query, found.gallery, protocol, which, 1)
    (one,) = ranked_lists(found.query, found.gallery, protocol, rows, k=1)
    query = _sample(found.dataset, "query", one.path)
    answer = _sample(found.dataset, "gallery", one.hits[0].path)
    explained = explain_match(found.predictor, album, query, album, answer, protocol=protocol)
    right = "right" if one.hits[0].outcome == "right" else "wrong"
    precision = "highest" if which == "best" else "lowest"
    caption = f"{title}: the query of {precision} average precision and its nearest picture, which is {right}."
    alt = f"A query and its nearest picture, compared. {explained.sentence}"
    figure = match_figure(explained, title=f"{run.label} on {found.spec}")
    return drawn(figure, alt=alt, caption=[caption, " In words: ", explained.sentence])


def _sample(dataset: Dataset, split: Split, path: str) -> Sample:
    return next(sample for sample in dataset.split(split) if sample.path == path)
