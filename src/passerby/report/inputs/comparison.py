"""How much better or worse than the first run, and whether other people might have said otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from passerby.metrics.functional import bootstrap_intervals
from passerby.report.components import Html, element, table
from passerby.report.inputs.evaluated_run import comparable
from passerby.report.inputs.metrics import METRICS, of_each
from passerby.report.inputs.run import Run
from passerby.types import QueryResults

FEW_PEOPLE = 10
"""Fewer are too few for a bootstrap over them: its intervals are then far too narrow."""


def differences(runs: Sequence[Run]) -> Html:
    """Of runs that were counted alike; with intervals where they answered the same queries."""
    first, *others = runs
    caption = f"Differences to {first.label}, in points of per cent"
    head = ("metric", *(run.label for run in others))
    if comparable([run.tested for run in runs]):
        caption += "; 95 % intervals of the difference, query by query, by bootstrap over people (paired)"
        columns = [_paired(first, run) for run in others]
        return table(caption, head, [(m.name, *(column[m.key] for column in columns)) for m in METRICS])
    caption += "; without intervals, as the runs did not answer the same queries"
    rows = [
        (metric.name, *(_plain(metric.of(first.numbers), metric.of(run.numbers)) for run in others))
        for metric in METRICS
    ]
    return table(caption, head, rows)


def _paired(first: Run, other: Run) -> dict[str, Html]:
    """Of each metric: the difference and its interval."""
    before, after = _queries(first), _queries(other)
    change = of_each(after) - of_each(before)  # (m, n)
    ends = bootstrap_intervals(change, groups=before.pids).tolist()
    few = len(before.pids.unique()) < FEW_PEOPLE
    return {
        metric.key: _change(row.mean().item(), each, few=few, run=other.label, key=metric.key)
        for metric, row, each in zip(METRICS, change, ends, strict=True)
    }


def _queries(run: Run) -> QueryResults:
    assert run.tested is not None
    assert run.tested.result.per_query is not None
    return run.tested.result.per_query


def _change(value: float, interval: Sequence[float], *, few: bool, run: str, key: str) -> Html:
    shown = element("data", _signed(value), value=repr(value), data_run=run, data_key=f"difference.{key}")
    about = element("span", " to ".join(map(_signed, interval)), class_="interval")
    said = element("span", verdict(interval, few=few), class_="verdict")
    return element("span", shown, " ", about, " ", said, class_="both")


def verdict(interval: Sequence[float], *, few: bool) -> str:
    """What an interval of a difference allows to say; of few people nothing.

    >>> verdict((0.1, 0.2), few=False), verdict((-0.1, 0.2), few=False), verdict((0.1, 0.2), few=True)
    ('▲ higher', '≈ may be chance', '≈ too few people to say')
    """
    low, high = interval
    if few:
        return "≈ too few people to say"
    return "▲ higher" if low > 0 else "▼ lower" if high < 0 else "≈ may be chance"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _plain(before: float | None, after: float | None) -> str:
    return "–" if before is None or after is None else _signed(after - before)
