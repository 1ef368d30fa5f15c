"""Ranked lists: the queries with the lowest and with the highest average precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from passerby.explain.ranked_lists import RankedList, Selection, ranked_lists, select_queries
from passerby.figures.ranked_list import ranked_list_figure
from passerby.report.components import heading
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import ModelEvaluation
from passerby.report.inputs.run import Run, evaluated_with_model
from passerby.report.registry import section

_ALONE: dict[Selection, int] = {"worst": 5, "best": 3}
_TOGETHER: dict[Selection, int] = {"worst": 3, "best": 2}
"""The queries in a figure of one run, and of several."""
_K = 8
_BESIDE = 3
"""The largest number of runs whose lists stand in one figure; with more, each has its own."""
_TITLES: dict[Selection, str] = {"worst": "Failure cases", "best": "Success cases"}
_RANKED: dict[Selection, str] = {"worst": "lowest", "best": "highest"}
_KEY = "✓ green: true match; ✗ vermilion: false match; nearest first."


@section("ranked-lists", "Ranked lists", order=60, needs="model")
def ranked(runs: Sequence[Run]) -> Iterator[str]:
    """Yield failures and successes of every run, with the lists of other runs on the same data for the same queries."""
    known = [
        (run, evaluation) for run, evaluation in evaluated_with_model(runs) if not evaluation.result.protocol.draws
    ]
    for selection, title in _TITLES.items():
        for run, evaluation in known:
            others = [each for each in known if each[0] is not run and each[1].spec == evaluation.spec]
            beside = [(run, evaluation), *others]
            yield heading(f"{title} of {run.label}")
            yield _figure(beside if len(beside) <= _BESIDE else beside[:1], selection)


def _figure(members: Sequence[tuple[Run, ModelEvaluation]], selection: Selection) -> Markup:
    """Return the ranked lists of several runs, for queries selected by the first run's average precision."""
    first, evaluation = members[0]
    n = (_TOGETHER if len(members) > 1 else _ALONE)[selection]
    protocol = evaluation.result.protocol
    rows = select_queries(evaluation.query, evaluation.gallery, protocol, selection, n)
    lists = {
        run.label: ranked_lists(
            each.query,
            each.gallery,
            each.result.protocol,
            rows,
            k=min(_K, len(each.gallery)),
            calibration=each.calibration,
        )
        for run, each in members
    }
    ranked = _RANKED[selection]
    title = (
        f"The {len(rows)} queries with the {ranked} average precision of {first.label}, of {len(evaluation.query):,}"
    )
    equal = len({each.result.protocol for _, each in members}) == 1
    compared = f"{protocol}" if equal else "each run compares images as its paper does"
    figure = ranked_list_figure(lists, evaluation.images, title=f"{title}\n{compared}")
    return show_figure(figure, alt=_alt(lists, ranked), caption=f"{title}. {_KEY}")


def _alt(lists: Mapping[str, Sequence[RankedList]], ranked: str) -> str:
    """Return the true matches in each list, in words."""
    values = [
        f"{label}, query of person {one.pid}: {_true_matches(one)} among the "
        f"nearest {len(one.hits)}, the first at rank {one.ranks[0] if one.ranks else 'none'}"
        for label, some in lists.items()
        for one in some
    ]
    return f"Ranked lists of the queries with the {ranked} average precision. {'; '.join(values)}."


def _true_matches(ranked: RankedList) -> str:
    found = sum(hit.outcome == "true match" for hit in ranked.hits)
    return f"{found} true {'match' if found == 1 else 'matches'}"
