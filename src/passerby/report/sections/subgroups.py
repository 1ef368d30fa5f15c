"""Subgroup metrics: by pair of cameras, by attribute, and by the number of visible keypoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from markupsafe import Markup

from passerby.figures.subgroups import subgroup_figure
from passerby.metrics.subgroups import FEW, Dimension, Subgroup, worst_first
from passerby.report.components import DASH, count, details, paragraph, percent, share, table
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import Evaluation
from passerby.report.inputs.run import Run, evaluated, group_by_data
from passerby.report.registry import section
from passerby.report.templates import format_html

_TITLES: dict[Dimension, str] = {
    "cameras": "By pair of cameras (query → gallery)",
    "attributes": "By attribute",
    "visibility": "By visible keypoints (of 18)",
}
_NAMES: dict[Dimension, str] = {"attributes": "attributes", "visibility": "visible keypoints"}
_LOWEST = 3
"""The subgroups that are named in words, per dimension."""


@section("subgroups", "Subgroups", order=100, needs="embeddings")
def subgroups(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lowest subgroups in words, a figure per run, and tables with all runs on the same data."""
    known = [(run, evaluation) for run, evaluation in evaluated(runs) if evaluation.subgroups]
    for run, evaluation in known:
        yield _lowest(run, evaluation)
        yield _figure(run, evaluation)
    for members in group_by_data(known).values():
        yield from _tables(members)
    if known:
        yield paragraph(
            f"* fewer than {FEW} queries: a single query changes rank-1 by more than ten percentage points."
        )


def _lowest(run: Run, evaluation: Evaluation) -> Markup:
    """Return in words the subgroups with the lowest mAP, of those below their reference."""
    mean_ap = evaluation.result.mean_ap
    assert mean_ap is not None  # a protocol with random galleries has no subgroups
    parts = []
    for dimension in _TITLES:
        some = [each for each in evaluation.subgroups if each.dimension == dimension and not each.few]
        name, below = _below(dimension, some, mean_ap)
        if below:
            parts.append(f"{name}: {', '.join(f'{_short(each)} ({percent(each.mean_ap)})' for each in below)}")
    if not parts:
        return paragraph(format_html("<b>{}</b>: no subgroup with enough queries is below its reference.", run.label))
    return paragraph(format_html("<b>{}</b>, lowest mAP in percent, {}.", run.label, "; ".join(parts)))


def _below(dimension: Dimension, some: Sequence[Subgroup], mean_ap: float) -> tuple[str, list[Subgroup]]:
    """Return the reference of a dimension in words, and the lowest subgroups below it.

    A pair of cameras is an easier search, of a smaller gallery: its reference is the mean of the pairs, not of all
    queries.
    """
    if dimension != "cameras":
        name, reference = f"{_NAMES[dimension]} ({percent(mean_ap)} over all queries)", mean_ap
    else:
        reference = fmean(each.mean_ap for each in some) if some else 0.0
        name = f"pairs of cameras ({percent(reference)} is the mean of {len(some)} pairs)"
    return name, [each for each in worst_first(some) if each.mean_ap < reference][:_LOWEST]


def _figure(run: Run, evaluation: Evaluation) -> Markup:
    title = f"{run.label} on {evaluation.spec}: {evaluation.result.protocol}"
    figure = subgroup_figure(evaluation.subgroups, mean_ap=evaluation.result.mean_ap, title=title)
    alt = f"mAP of {run.label} for {len(evaluation.subgroups)} subgroups of the queries, as a matrix of cameras and as "
    alt += "bars with 95 % intervals; the table below has the same numbers."
    return show_figure(figure, alt=alt, caption=f"mAP of {run.label} by subgroup. Hatched: fewer than {FEW} queries.")


def _tables(members: Sequence[tuple[Run, Evaluation]]) -> Iterator[Markup]:
    """Yield one table per dimension, one column per run; the rows are sorted by the first run's mAP, lowest first."""
    rows = worst_first(members[0][1].subgroups)
    known = [{_key(some): some for some in evaluation.subgroups} for _, evaluation in members]
    labels = [run.label for run, _ in members]
    metrics = [f"{label}: {metric}" for metric in ("mAP", "rank-1") for label in labels]
    head = ("subgroup", "queries", "people", *metrics)
    for dimension, title in _TITLES.items():
        kept = [some for some in rows if some.dimension == dimension]
        shown = [_row(some, [each.get(_key(some)) for each in known], labels) for some in kept]
        if shown:
            caption = f"{title}, in percent with 95 % intervals; lowest mAP first"
            yield details(f"{title}: table of {len(shown)} subgroups", table(caption, head, shown))


def _row(some: Subgroup, each: Sequence[Subgroup | None], labels: Sequence[str]) -> tuple[str, ...]:
    counts = f"{count(some.queries)}{'*' if some.few else ''}", count(some.people)
    precision = [_cell(label, one, "mean_ap") for label, one in zip(labels, each, strict=True)]
    first = [_cell(label, one, "rank1") for label, one in zip(labels, each, strict=True)]
    return (_name(some), *counts, *precision, *first)


def _cell(label: str, some: Subgroup | None, metric: str) -> str:
    if some is None:
        return DASH
    key = f"slices.{'/'.join(_key(some))}.{metric}"
    interval: Sequence[float] = getattr(some, f"{metric}_interval")
    return share(getattr(some, metric), run=label, key=key, digits=1, interval=interval)


def _key(some: Subgroup) -> tuple[str, str, str]:
    return some.dimension, some.group, some.value


def _name(some: Subgroup) -> str:
    return f"camera {some.group} → {some.value}" if some.dimension == "cameras" else f"{some.group}: {some.value}"


def _short(some: Subgroup) -> str:
    """Return the name without its group, where the dimension has been named."""
    return some.value if some.dimension == "visibility" else _name(some)
