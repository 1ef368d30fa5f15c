"""What makes two pictures near: each run's maps over the same pairs, of one person and of two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passerby.errors import PasserbyError
from passerby.explain.images import ImageSet, view_samples
from passerby.explain.ranked_lists import select_queries
from passerby.explain.saliency.maps import PairSaliency, describe_limits, distance_saliency
from passerby.explain.saliency.pairs import ImagePair, select_pairs
from passerby.figures.saliency import distance_groups, saliency_figure
from passerby.report.components import Content, Html, paragraph
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run

_QUERIES = 3
_FOOT = "Bright: what brings the pair nearer to each other; each map is scaled by itself."


def saliency(members: Sequence[tuple[Run, Tested]]) -> Iterable[Content]:
    """Of runs on the same data; the first chooses the pairs: queries, a match of each, and somebody near."""
    run, found = members[0]
    if found.result.protocol.draws:
        return
    assert run.album is not None
    try:
        pairs = _pairs(found)
    except PasserbyError as error:
        yield paragraph(f"No saliency: {error}")
        return
    able: list[tuple[Run, PairSaliency]] = []
    for each, tested in members:
        try:
            able.append((each, _maps(tested, run.album, pairs)))
        except PasserbyError as error:  # noqa: PERF203 - each run may lack maps
            yield paragraph(f"No saliency of {each.label}: {error}")
    if able:
        left_out = describe_limits(tested.result.protocol for _, tested in members)
        yield _figure(able, run.album, pairs, found.spec, f"{_FOOT} {left_out}".strip())


def _pairs(found: Tested) -> tuple[ImagePair, ...]:
    rows = select_queries(found.query, found.gallery, found.result.protocol, "random", _QUERIES)
    known = {sample.path: sample for sample in found.dataset.query}
    queries = [known[found.query.paths[row]] for row in rows.tolist()]
    return select_pairs(found.model, found.dataset, queries)


def _maps(found: Tested, album: ImageSet, pairs: Sequence[ImagePair]) -> PairSaliency:
    sides = [pair.query for pair in pairs], [pair.other for pair in pairs]
    return distance_saliency(*(view_samples(found.model, album, side) for side in sides))


def _figure(
    able: Sequence[tuple[Run, PairSaliency]], album: ImageSet, pairs: Sequence[ImagePair], spec: str, foot: str
) -> Html:
    groups = distance_groups(album, pairs, [maps for _, maps in able])
    names = [run.label for run, _ in able]
    title = f"Distance saliency on {spec}: queries, a match of each, and a near picture of somebody else"
    figure = saliency_figure(groups, names, title=title, foot=foot)
    alt = f"Saliency maps of {' and '.join(names)} over {len(pairs)} pairs of pictures, of which "
    alt += f"{sum(bool(pair.same) for pair in pairs)} are of one person: what brings each pair nearer to each other."
    caption = f"What makes two pictures near. ✓: the same person; ✗: another one. {foot}"
    return drawn(figure, alt=alt, caption=caption)
