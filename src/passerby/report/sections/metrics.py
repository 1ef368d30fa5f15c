"""How well: rank-k, mAP and mINP with their intervals, and who counted them; runs beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from passerby.report.components import Content, Html, code, described, element, folded, paragraph, table
from passerby.report.inputs.comparison import differences
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.metrics import METRICS, Metric, intervals
from passerby.report.inputs.run import Run, Section, count, number, percent, with_interval
from passerby.report.sections.protocol import alike, counted

_SAME = 1e-9
"""Shares that are nearer than this are the same number, written elsewhere."""
_COUNTED = (
    ("queries", "queries", "that have a right picture to find"),
    ("gallery", "gallery", "pictures to search among"),
)


def numbers(runs: Sequence[Run]) -> Section:
    known = [run for run in runs if run.numbers]
    if not known:
        why = "No run here was evaluated, and none could be for this report: see what is missing, below."
        return Section("numbers", "Numbers", (paragraph(why),))
    content: list[Content] = [_table(known), _meanings(), *_origin(known)]
    if len(runs) > 1 and alike(runs):
        content.append(differences(runs))
    return Section("numbers", "Numbers", (*content, *counted(known)))


def _table(runs: Sequence[Run]) -> Html:
    head = ("metric", *(run.label for run in runs), "meaning")
    cells = [_cells(run) for run in runs]
    rows = [
        (metric.name, *(each[metric.key] for each in cells), metric.meaning)
        for metric in METRICS
        if any(metric.of(run.numbers) is not None for run in runs)
    ]
    rows += [(name, *(_whole(run, key) for run in runs), meaning) for key, name, meaning in _COUNTED]
    return table("Shares in per cent, with 95 % intervals; larger is better", head, rows, class_="numbers")


def _cells(run: Run) -> dict[str, Html]:
    """Of each metric by its key; intervals that the evaluation does not give are made of its queries, as its own."""
    known = intervals(run.tested.result.per_query) if run.tested else {}
    return {
        metric.key: with_interval(
            number(metric.of(run.numbers), run=run.label, key=metric.key),
            metric.interval_of(run.numbers) or known.get(metric.key),
        )
        for metric in METRICS
    }


def _meanings() -> Html:
    """For screens that are too narrow for the table's column."""
    rows = [(metric.name, metric.meaning) for metric in METRICS]
    rows += [(name, meaning) for _, name, meaning in _COUNTED]
    return element("div", folded("What they mean", described(rows)), class_="narrow")


def _whole(run: Run, key: str) -> Html:
    value = run.numbers.get(key)
    if value is None:
        return element("span", "–")
    return element("data", count(value), value=value, data_run=run.label, data_key=key)


def _origin(runs: Sequence[Run]) -> Iterable[Content]:
    """Who counted the numbers, and whether what the training's end wrote down is the same."""
    for run in runs:
        name, kept = element("b", run.label), run.record.metrics
        if run.tested is None:
            yield paragraph(name, ": written at the end of its training (", code("metrics.json"), ").")
            continue
        yield paragraph(
            name, ": evaluated for this report on ", code(run.tested.spec), ". ", *_beside(run.tested, kept)
        )
        if kept and not _agree(run.numbers, kept):
            yield _kept(run)


def _beside(found: Tested, kept: dict[str, Any]) -> Iterable[Content]:
    if not found.own:
        yield "Not the run's own test data."
    elif not kept:
        yield "The training wrote no numbers down."
    elif _agree(found.result.to_dict(), kept):
        yield from ("These are the numbers that the end of the training wrote down (", code("metrics.json"), ").")
    if found.same_content is False:
        yield " The pictures are others than those of the training's end (their digests differ)."


def _agree(numbers: dict[str, Any], kept: dict[str, Any]) -> bool:
    pairs = [(metric.of(numbers), metric.of(kept)) for metric in METRICS]
    return all(a == b or (a is not None and b is not None and abs(a - b) < _SAME) for a, b in pairs)


def _kept(run: Run) -> Html:
    """The training's own numbers, where they are others."""
    kept = run.record.metrics
    known = [metric for metric in METRICS if metric.of(kept) is not None]
    values = [number(metric.of(kept), run=run.label, key=f"metrics.{metric.key}") for metric in known]
    rows = [
        (metric.name, with_interval(value, metric.interval_of(kept)))
        for metric, value in zip(known, values, strict=True)
    ]
    where = "" if run.tested and not run.tested.own else " (other versions or another machine count a little otherwise)"
    head = ("metric", "per cent")
    return table(f"{run.label}: written at the end of its training on its own test data{where}", head, rows)


def headline(run: Run) -> Html | None:
    """The numbers that people quote, large."""
    if not run.numbers:
        return None
    shown = [metric for metric in METRICS if metric.key in ("cmc.1", "mean_ap", "minp")]
    tiles = [
        element("div", element("dt", metric.name), element("dd", _tile(metric, run)))
        for metric in shown
        if metric.of(run.numbers) is not None
    ]
    return element("dl", tiles, class_="tiles")


def _tile(metric: Metric, run: Run) -> Html:
    interval = metric.interval_of(run.numbers)
    about = element("span", f"95 %: {'–'.join(map(percent, interval))}", class_="interval") if interval else None
    value = metric.of(run.numbers)
    big = element("data", f"{percent(value)} %", value=repr(value), data_run=run.label, data_key=metric.key)
    return element("span", big, about)
