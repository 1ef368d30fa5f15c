"""Who is found and who is not: the queries of highest and of lowest average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passerby.explain.ranked_lists import RankedList, Selection, ranked_lists, select_queries
from passerby.figures.ranked_list import ranked_list_figure
from passerby.report.components import Content, Html, element
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, tested

_ALONE, _TOGETHER = {"worst": 5, "best": 3}, {"worst": 3, "best": 2}
"""Queries of a figure."""
_K = 8
_BESIDE = 3
"""Runs whose lists stand below each other; of more, each stands alone."""
_TITLES: dict[Selection, str] = {"worst": "Failures", "best": "Successes"}
_KEY = "✓ green: the query's person; ✗ vermilion: somebody else; nearest first."


def ranked(runs: Sequence[Run]) -> Section:
    """The failures and successes of every run; beside them, what others on the same data make of the same queries."""
    known = [(run, found) for run, found in tested(runs) if not found.result.protocol.draws]
    content: list[Content] = []
    for which, title in _TITLES.items():
        for run, found in known:
            beside = [(run, found), *(each for each in known if each[0] is not run and each[1].spec == found.spec)]
            content += [
                element("h3", f"{title} of {run.label}"),
                _figure(beside if len(beside) <= _BESIDE else beside[:1], which),
            ]
    return Section("ranked", "Who is found, and who is not", tuple(content))


def _figure(members: Sequence[tuple[Run, Tested]], which: Selection) -> Html:
    """The queries are the first run's choice."""
    first, found = members[0]
    n = (_TOGETHER if len(members) > 1 else _ALONE)[which]
    protocol = found.result.protocol
    rows = select_queries(found.query, found.gallery, protocol, which, n)
    lists = {
        run.label: ranked_lists(
            each.query,
            each.gallery,
            each.result.protocol,
            rows,
            k=min(_K, len(each.gallery)),
            calibration=each.model.calibration_for(each.result.protocol),
        )
        for run, each in members
    }
    assert first.album is not None
    lowest = "lowest" if which == "worst" else "highest"
    title = f"The {len(rows)} queries of {lowest} average precision of {first.label}, among {len(found.query):,}"
    alike = len({each.result.protocol for _, each in members}) == 1
    how = f"{protocol}" if alike else "each run compares pictures as its paper does"
    figure = ranked_list_figure(lists, first.album, title=f"{title}\n{how}")
    return drawn(figure, alt=_alt(lists, lowest), caption=f"{title}. {_KEY}")


def _alt(lists: Mapping[str, Sequence[RankedList]], lowest: str) -> str:
    """Who stands first in each list."""
    said = [
        f"{label}, query of person {one.pid}: {sum(hit.outcome == 'true match' for hit in one.hits)} of the nearest "
        f"{len(one.hits)} right, the first at rank {one.ranks[0] if one.ranks else 'none'}"
        for label, some in lists.items()
        for one in some
    ]
    return f"Ranked lists of the queries of {lowest} average precision. {'; '.join(said)}."
