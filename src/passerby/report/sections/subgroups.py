"""For whom is it worse: by pair of cameras, by what people wear, by how much of them can be seen; and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from passerby.figures.subgroups import subgroup_figure
from passerby.metrics.subgroups import FEW, Dimension, Subgroup, worst_first
from passerby.report.components import Content, Html, element, folded, paragraph, table
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, count, number, percent, tested, with_interval

_TITLES: dict[Dimension, str] = {
    "cameras": "By pair of cameras (query → gallery)",
    "attributes": "By what people wear",
    "visibility": "By how many of 18 joints can be seen",
}
_KINDS: dict[Dimension, str] = {"attributes": "what people wear", "visibility": "visible joints"}
_WORST = 3


def slices(runs: Sequence[Run]) -> Section:
    known = [(run, found) for run, found in tested(runs) if found.slices]
    content: list[Content] = []
    for run, found in known:
        content += [_worst(run, found), _figure(run, found)]
    groups: dict[str, list[tuple[Run, Tested]]] = {}
    for run, found in known:
        groups.setdefault(found.spec, []).append((run, found))
    for members in groups.values():
        content += _tables(members)
    if content:
        content.append(paragraph(f"* fewer than {FEW} queries: one of them changes rank-1 by more than a tenth."))
    return Section("slices", "For whom it is worse", tuple(content))


def _worst(run: Run, found: Tested) -> Html:
    """In words, for who reads no further: the lowest of those that are below what they are part of."""
    whole = found.result.mean_ap
    assert whole is not None  # slices are of no mean over draws
    said = [
        f"{name}: {', '.join(f'{_said(some)} ({percent(some.mean_ap)})' for some in each)}"
        for name, each in (
            _below(dimension, [some for some in found.slices if some.dimension == dimension and not some.few], whole)
            for dimension in _TITLES
        )
        if each
    ]
    if not said:
        return paragraph(element("b", run.label), ": no slice of enough queries lies below the rest.")
    return paragraph(element("b", run.label), f", lowest mAP in per cent, {'; '.join(said)}.")


def _said(some: Subgroup) -> str:
    """Where the dimension has been named."""
    return some.value if some.dimension == "visibility" else _name(some)


def _below(dimension: Dimension, slices: Sequence[Subgroup], whole: float) -> tuple[str, list[Subgroup]]:
    """What slices are held against, and the lowest of those that are below it.

    A pair of cameras is an easier search, of a smaller gallery: it is held against other pairs, not against the whole.
    """
    if dimension != "cameras":
        name, reference = f"{_KINDS[dimension]} ({percent(whole)} over all queries)", whole
    else:
        reference = fmean(some.mean_ap for some in slices) if slices else 0.0
        name = f"pairs of cameras ({percent(reference)} is the mean of {len(slices)} pairs)"
    return name, [some for some in worst_first(slices) if some.mean_ap < reference][:_WORST]


def _figure(run: Run, found: Tested) -> Html:
    title = f"{run.label} on {found.spec}: {found.result.protocol}"
    figure = subgroup_figure(found.slices, mean_ap=found.result.mean_ap, title=title)
    alt = f"mAP of {run.label} for {len(found.slices)} slices of the queries, as a matrix of cameras and as bars with "
    alt += "95 % intervals; the table below has the same numbers."
    return drawn(figure, alt=alt, caption=f"mAP of {run.label} by slice. Hatched: fewer than {FEW} queries.")


def _tables(members: Sequence[tuple[Run, Tested]]) -> Iterable[Content]:
    """A table a dimension, a column a run; the rows are those of the first run's slices, its worst on top."""
    rows = worst_first(members[0][1].slices)
    of = [{_key(some): some for some in found.slices} for _, found in members]
    labels = [run.label for run, _ in members]
    shares = [f"{label}: {what}" for what in ("mAP", "rank-1") for label in labels]
    head = ("slice", "queries", "people", *shares)
    for dimension, title in _TITLES.items():
        kept = [some for some in rows if some.dimension == dimension]
        shown = [_row(some, [each.get(_key(some)) for each in of], labels) for some in kept]
        if shown:
            caption = f"{title}, in per cent with 95 % intervals; the lowest mAP first"
            yield folded(f"{title}: {len(shown)} slices as a table", table(caption, head, shown))


def _row(some: Subgroup, each: Sequence[Subgroup | None], labels: Sequence[str]) -> tuple[Content, ...]:
    counts = f"{count(some.queries)}{'*' if some.few else ''}", count(some.people)
    precision = [_cell(label, one, "mean_ap") for label, one in zip(labels, each, strict=True)]
    first = [_cell(label, one, "rank1") for label, one in zip(labels, each, strict=True)]
    return (_name(some), *counts, *precision, *first)


def _cell(label: str, some: Subgroup | None, what: str) -> Content:
    if some is None:
        return "–"
    key = f"slices.{'/'.join(_key(some))}.{what}"
    value = number(getattr(some, what), run=label, key=key, digits=1)
    return with_interval(value, getattr(some, f"{what}_interval"), digits=1)


def _key(some: Subgroup) -> tuple[str, str, str]:
    return some.dimension, some.group, some.value


def _name(some: Subgroup) -> str:
    return f"camera {some.group} → {some.value}" if some.dimension == "cameras" else f"{some.group}: {some.value}"


def attributes(runs: Sequence[Run]) -> Section:
    """How often each predicted attribute is right."""
    tables = [
        _attribute_table(run.label, found) for run in runs if (found := run.numbers.get("attributes")) is not None
    ]
    if not tables:
        return Section("attributes", "Attributes", ())
    about = paragraph(
        "Of the gallery's people. Balanced: the mean recall over the values that occur, so that rare ones weigh "
        "as much. Majority: always saying what is commonest among the training's people; less than that is no skill."
    )
    return Section("attributes", "Attributes", (about, *tables))


def _attribute_table(label: str, found: dict[str, Any]) -> Html:
    head = ("attribute", "accuracy", "balanced", "majority", "which is", "pictures")
    rows: list[tuple[Content, ...]] = []
    for name, group in [*found["groups"].items(), ("mean", found["mean"])]:
        shares = [
            number(group.get(column), run=label, key=f"attributes.{name}.{column}", digits=1)
            for column in ("accuracy", "balanced", "majority_accuracy")
        ]
        pictures = "" if "pictures" not in group else count(group["pictures"])
        rows.append((name, *shares, group.get("majority") or "–", pictures))
    return table(f"{label}: how often each attribute is predicted right, in per cent", head, rows)
