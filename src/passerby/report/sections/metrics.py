"""The metrics: rank-k, mAP and mINP with their intervals, where they come from, and differences between runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.report.components import (
    DASH,
    code,
    count,
    definitions,
    details,
    number,
    paragraph,
    points,
    share,
    table,
)
from passerby.report.inputs.comparison import Difference, comparable, paired, paired_differences
from passerby.report.inputs.evaluation import FeaturesEvaluation, ModelEvaluation
from passerby.report.inputs.metrics import METRICS, Metric, intervals
from passerby.report.inputs.run import Run
from passerby.report.registry import section
from passerby.report.templates import format_html, join_html

_SAME = 1e-9
"""The difference below which two shares are the same number, rounded elsewhere."""
_COUNTS = (
    ("queries", "queries", "queries that have a true match in the gallery"),
    ("gallery", "gallery", "images to search"),
)


@section("metrics", "Metrics", order=10)
def metrics(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the table of metrics, where each run's come from, and the differences to the first run."""
    known = [run for run in runs if run.numbers]
    if not known:
        yield paragraph("No run was evaluated, and none could be for this report: see what is missing, below.")
        return
    yield _table(known)
    yield _meanings()
    for run in known:
        yield from _origin(run)
    if len(runs) > 1 and comparable(runs):
        yield _differences(runs)


def _table(runs: Sequence[Run]) -> Markup:
    head = ("metric", *(run.label for run in runs), "meaning")
    cells = [_cells(run) for run in runs]
    rows = [
        (metric.name, *(each[metric.key] for each in cells), metric.meaning)
        for metric in METRICS
        if any(metric.of(run.numbers) is not None for run in runs)
    ]
    rows += [(name, *(_count(run, key) for run in runs), meaning) for key, name, meaning in _COUNTS]
    return table("Metrics in percent, with 95 % intervals; larger is better", head, rows, kind="numbers")


def _cells(run: Run) -> dict[str, Markup]:
    """Return each metric by key; an interval that the evaluation does not give is computed from its queries."""
    known = intervals(run.evaluation.result.per_query) if run.evaluation else {}
    return {
        metric.key: share(
            metric.of(run.numbers),
            run=run.label,
            key=metric.key,
            interval=metric.interval_of(run.numbers) or known.get(metric.key),
        )
        for metric in METRICS
    }


def _meanings() -> Markup:
    """Return the meanings, for screens that are too narrow for the table's column."""
    rows = [(metric.name, metric.meaning) for metric in METRICS]
    rows += [(name, meaning) for _, name, meaning in _COUNTS]
    return format_html('<div class="narrow">{}</div>', details("Meaning of the metrics", definitions(rows)))


def _count(run: Run, key: str) -> str:
    value = run.numbers.get(key)
    return DASH if value is None else number(value, count(value), run=run.label, key=key)


def _origin(run: Run) -> Iterator[Markup]:
    """Yield where a run's metrics come from, and the training's own metrics where they differ."""
    name, kept = format_html("<b>{}</b>", run.label), run.record.metrics
    if run.evaluation is None:
        yield paragraph(format_html("{}: written at the end of the training ({}).", name, code("metrics.json")))
        return
    if isinstance(run.evaluation, FeaturesEvaluation):
        file = code(str(run.evaluation.file))
        yield paragraph(format_html("{}: evaluated for this report, from the embeddings in {}.", name, file))
        return
    assert isinstance(run.evaluation, ModelEvaluation)
    place = code(run.evaluation.spec)
    remarks = join_html(*_remarks(run.evaluation, kept))
    yield paragraph(format_html("{}: evaluated for this report on {}. {}", name, place, remarks))
    if kept and not _equal(run.numbers, kept):
        yield _kept(run)


def _remarks(evaluation: ModelEvaluation, kept: dict[str, Any]) -> Iterator[str]:
    if not evaluation.own:
        yield "These are not the run's own test data."
    elif not kept:
        yield "The training wrote no metrics."
    elif _equal(evaluation.result.to_dict(), kept):
        yield format_html("The metrics equal those written at the end of the training ({}).", code("metrics.json"))
    if evaluation.same_content is False:
        yield " The images have changed since the training (their digests differ)."


def _equal(numbers: dict[str, Any], kept: dict[str, Any]) -> bool:
    pairs = [(metric.of(numbers), metric.of(kept)) for metric in METRICS]
    return all(a == b or (a is not None and b is not None and abs(a - b) < _SAME) for a, b in pairs)


def _kept(run: Run) -> Markup:
    """Return the metrics that the training wrote, where they differ from this report's."""
    kept = run.record.metrics
    rows = [(metric.name, _kept_share(run, metric)) for metric in METRICS if metric.of(kept) is not None]
    own = not isinstance(run.evaluation, ModelEvaluation) or run.evaluation.own
    why = " (another version or machine may differ slightly)" if own else ""
    caption = f"{run.label}: metrics at the end of the training, on its own test data{why}"
    return table(caption, ("metric", "percent"), rows)


def _kept_share(run: Run, metric: Metric) -> Markup:
    kept = run.record.metrics
    return share(metric.of(kept), run=run.label, key=f"metrics.{metric.key}", interval=metric.interval_of(kept))


def _differences(runs: Sequence[Run]) -> Markup:
    """Return the differences to the first run, with intervals where both ranked the same queries."""
    first, *others = runs
    caption = f"Differences to {first.label}, in percentage points"
    head = ("metric", *(run.label for run in others))
    if paired(runs):
        caption += "; 95 % intervals of the difference per query, by bootstrap over people (paired)"
        columns = [(run.label, paired_differences(first, run)) for run in others]
        rows = [(m.name, *(_difference(each[m.key], label, m.key) for label, each in columns)) for m in METRICS]
        return table(caption, head, rows)
    caption += "; without intervals, as the runs did not rank the same queries"
    pairs = [(m, [(m.of(first.numbers), m.of(run.numbers)) for run in others]) for m in METRICS]
    return table(caption, head, [(metric.name, *(_plain(*each) for each in some)) for metric, some in pairs])


def _difference(found: Difference, label: str, key: str) -> Markup:
    about = " to ".join(map(points, found.interval))
    shown = points(found.value)
    return number(found.value, shown, run=label, key=f"difference.{key}", interval=about, verdict=found.verdict)


def _plain(before: float | None, after: float | None) -> str:
    return DASH if before is None or after is None else points(after - before)
