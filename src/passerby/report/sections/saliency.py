"""Saliency: maps of what makes two images similar, for the same pairs of images with every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from passerby.errors import PasserbyError
from passerby.explain.images import view_samples
from passerby.explain.ranked_lists import select_queries
from passerby.explain.saliency.maps import PairSaliency, describe_limits, distance_saliency
from passerby.explain.saliency.pairs import ImagePair, select_pairs
from passerby.figures.saliency import distance_groups, saliency_figure
from passerby.report.components import paragraph
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import ModelEvaluation
from passerby.report.inputs.run import Run, evaluated_with_model, group_by_data
from passerby.report.registry import section

_QUERIES = 3
_KEY = "Bright: regions that decrease the distance of the pair; each map is scaled separately."


@section("saliency", "Saliency", order=80, needs="model")
def saliency(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the saliency maps of the runs on each data."""
    for members in group_by_data(evaluated_with_model(runs)).values():
        yield from _group(members)


def _group(members: Sequence[tuple[Run, ModelEvaluation]]) -> Iterator[Markup]:
    """Yield the maps of runs on the same data, for pairs selected with the first: query, true match, false match."""
    evaluation = members[0][1]
    if evaluation.result.protocol.draws:
        return
    try:
        pairs = _pairs(evaluation)
    except PasserbyError as error:
        yield paragraph(f"No saliency maps: {error}")
        return
    found: list[tuple[Run, PairSaliency]] = []
    for run, each in members:
        try:
            found.append((run, _maps(each, pairs)))
        except PasserbyError as error:  # noqa: PERF203 - each run may lack maps
            yield paragraph(f"No saliency maps of {run.label}: {error}")
    if found:
        limits = describe_limits(each.result.protocol for _, each in members)
        yield _figure(found, evaluation, pairs, f"{_KEY} {limits}".strip())


def _pairs(evaluation: ModelEvaluation) -> tuple[ImagePair, ...]:
    protocol = evaluation.result.protocol
    rows = select_queries(evaluation.query, evaluation.gallery, protocol, "random", _QUERIES)
    known = {sample.path: sample for sample in evaluation.dataset.query}
    queries = [known[evaluation.query.paths[row]] for row in rows.tolist()]
    return select_pairs(evaluation.model, evaluation.dataset, queries)


def _maps(evaluation: ModelEvaluation, pairs: Sequence[ImagePair]) -> PairSaliency:
    sides = [pair.query for pair in pairs], [pair.other for pair in pairs]
    return distance_saliency(*(view_samples(evaluation.model, evaluation.images, side) for side in sides))


def _figure(
    found: Sequence[tuple[Run, PairSaliency]], evaluation: ModelEvaluation, pairs: Sequence[ImagePair], key: str
) -> Markup:
    groups = distance_groups(evaluation.images, pairs, [maps for _, maps in found])
    names = [run.label for run, _ in found]
    title = f"Distance saliency on {evaluation.spec}: queries, each with a true match and a near false match"
    figure = saliency_figure(groups, names, title=title, foot=key)
    same = sum(bool(pair.same) for pair in pairs)
    alt = f"Saliency maps of {' and '.join(names)} for {len(pairs)} pairs of images, {same} of them of one person: the "
    alt += "regions that decrease the distance of each pair."
    caption = f"What makes two images similar for the model. ✓: true match; ✗: false match. {key}"
    return show_figure(figure, alt=alt, caption=caption)
