"""How well: rank-k, mAP and mINP with their intervals, the differences between runs, and how they were counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor

from passerby.explain.report.html import Content, Html, bullets, code, element, paragraph, table
from passerby.explain.report.run import Run, Section, count, number, percent, tested, with_interval
from passerby.explain.report.tested import Tested, comparable
from passerby.metrics.functional import bootstrap_intervals
from passerby.types import Protocol, QueryResults

RANKS = (1, 5, 10, 20)
_SAME = 1e-9
"""Shares that are nearer than this are the same number, written elsewhere."""


class Metric(NamedTuple):
    key: str
    """``cmc.1`` is a result's ``["cmc"]["1"]``."""
    name: str
    meaning: str
    interval: str | None = None
    """Its name among a result's intervals."""

    def of(self, numbers: dict[str, Any]) -> float | None:
        value: Any = numbers
        for part in self.key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found: float | None = value
        return found

    def interval_of(self, numbers: dict[str, Any]) -> Sequence[float] | None:
        found: Sequence[float] | None = numbers.get("intervals", {}).get(self.interval)
        return found


METRICS = (
    Metric("cmc.1", "rank-1", "queries whose nearest picture is right", "rank1"),
    *(Metric(f"cmc.{k}", f"rank-{k}", f"… with a right one among the nearest {k}") for k in RANKS[1:]),
    Metric("mean_ap", "mAP", "mean average precision: are all right pictures near the top?", "mean_ap"),
    Metric("minp", "mINP", "how far down the last right one is", "minp"),
)


def numbers(runs: Sequence[Run]) -> Section:
    known = [run for run in runs if run.numbers]
    if not known:
        why = "No run here was evaluated, and none could be for this report: see what is missing, below."
        return Section("numbers", "Numbers", (paragraph(why),))
    content: list[Content] = [_table(known), *_origin(known)]
    if len(runs) > 1:
        content.append(_differences(runs))
    return Section("numbers", "Numbers", (*content, *_counted(known)))


def _table(runs: Sequence[Run]) -> Html:
    head = ("metric", *(run.label for run in runs), "meaning")
    rows = [
        (metric.name, *(_cell(metric, run.numbers, run.label) for run in runs), metric.meaning)
        for metric in METRICS
        if any(metric.of(run.numbers) is not None for run in runs)
    ]
    counted = (("queries", "queries", "that have a right picture to find"), ("gallery", "gallery", "pictures"))
    rows += [(name, *(_whole(run, key) for run in runs), meaning) for key, name, meaning in counted]
    return table("Shares in per cent, with 95 % intervals; larger is better", head, rows, class_="numbers")


def _cell(metric: Metric, values: dict[str, Any], run: str) -> Html:
    return with_interval(number(metric.of(values), run=run, key=metric.key), metric.interval_of(values))


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


def _differences(runs: Sequence[Run]) -> Html:
    first, *others = runs
    caption = f"Differences to {first.label}, in points of per cent"
    head = ("metric", *(run.label for run in others))
    if comparable([run.tested for run in runs]):
        caption += "; 95 % intervals of the difference, query by query (paired bootstrap)"
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
    sides = [run.result.per_query for run in (_tested(first), _tested(other))]
    before, after = (_each(side) for side in sides if side is not None)
    change = after - before  # (m, n)
    intervals = bootstrap_intervals(change)
    return {
        metric.key: _change(row.mean().item(), ends.tolist(), run=other.label, key=metric.key)
        for metric, row, ends in zip(METRICS, change, intervals, strict=True)
    }


def _tested(run: Run) -> Tested:
    assert run.tested is not None
    return run.tested


def _each(queries: QueryResults) -> Tensor:
    """``(m, n)``: what each query adds to each metric, in their order."""
    within = [(queries.first_rank <= k).double() for k in RANKS]
    return torch.stack([*within, queries.average_precision, queries.inverse_negative_penalty])


def _change(value: float, interval: Sequence[float], *, run: str, key: str) -> Html:
    low, high = interval
    sign, word = ("▲", "higher") if low > 0 else ("▼", "lower") if high < 0 else ("≈", "may be chance")
    shown = element("data", _signed(value), value=repr(value), data_run=run, data_key=f"difference.{key}")
    about = element("span", f"{_signed(low)} to {_signed(high)}", class_="interval")
    return element("span", shown, " ", about, " ", element("span", f"{sign} {word}", class_="verdict"), class_="both")


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _plain(before: float | None, after: float | None) -> str:
    return "–" if before is None or after is None else _signed(after - before)


def _counted(runs: Sequence[Run]) -> Iterable[Content]:
    yield element("h3", "How they were counted")
    protocols = {str(protocol): protocol for run in runs if (protocol := _protocol(run)) is not None}
    if len(protocols) > 1:
        yield paragraph("The runs were counted under different protocols: their numbers do not compare.", class_="warn")
    for shown, protocol in protocols.items():
        names = [run.label for run in runs if str(_protocol(run)) == shown]
        whose = f"{' and '.join(names)}: " if len(protocols) > 1 else ""
        yield paragraph(whose, code(shown))
        yield bullets(in_words(protocol))
    if tested(runs):
        yield paragraph(_ON_INTERVALS)


_ON_INTERVALS = (
    "Intervals are 95 % by bootstrap over the queries, which it takes as independent of each other. Pictures of one "
    "person are alike, so what other people would change is more than the intervals say; nor do they know of other "
    "seeds of the training."
)


def _protocol(run: Run) -> Protocol | None:
    said = asdict(run.tested.result.protocol) if run.tested else run.record.metrics.get("protocol")
    return Protocol.from_dict(said) if said else None


_DISTANCES = {
    "global": "the squared Euclidean distance of their embeddings",
    "local": "the distance of their aligned stripes (DMLI)",
    "global_local": "the distance of their embeddings and that of their aligned stripes, added",
}


def in_words(protocol: Protocol) -> list[str]:
    """A protocol, a sentence a rule."""
    length = "of length 1" if protocol.normalise else "as long as they are"
    said = [f"Two pictures are compared by {_DISTANCES[protocol.distance]}, {length}; smaller is closer."]
    if protocol.draws:
        said.append(
            f"A gallery of one picture a person, by another camera than the query's, is drawn {protocol.draws} times "
            f"(seed {protocol.seed}); the shares are means over the draws."
        )
    elif protocol.ignore_same_camera:
        said.append(
            "Pictures of the query's person by its own camera count neither as right nor as wrong, nor does junk."
        )
    else:
        said.append("All cameras count, the query's own among them; junk does not.")
    if not protocol.draws:
        precise = "at each right picture" if protocol.average_precision == "step" else "by the trapezoid rule"
        said.append(f"Average precision is the mean of the precision {precise}.")
    if protocol.flip:
        said.append("Each picture's embedding is averaged with that of its mirror image.")
    if protocol.rerank:
        said.append(f"The gallery was {protocol.rerank}.")
    if protocol.multi_query:
        said.append(f"All pictures of a query's person by its camera ask as one: their {protocol.multi_query}.")
    return [*said, "A query whose person the gallery lacks counts nowhere."]


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
