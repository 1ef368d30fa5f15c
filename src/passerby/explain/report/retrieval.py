"""Whole evaluations as curves, all runs over each other, and where cameras mislead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passerby.errors import PasserbyError
from passerby.explain.cameras import cameras_figure
from passerby.explain.compared import Compared
from passerby.explain.report.html import Content, Html, element, folded
from passerby.explain.report.picture import drawn
from passerby.explain.report.run import Run, Section, percent, tested
from passerby.explain.report.tested import Tested
from passerby.explain.retrieval_curves import What, retrieval_figure
from passerby.explain.style import STYLES

_CAPTIONS: dict[What, str] = {
    "cmc": "Up to rank k, how many queries have met a right picture.",
    "pr": "Precision by recall, interpolated, the mean over queries.",
    "roc": "Same pairs accepted by false-match rate, by distance alone; points at 0.01, 0.001 and 0.0001.",
    "histogram": "Distances of same and of different pairs; the less they overlap, the better.",
    "calibration": "What the run says of pairs, and what is so; on the diagonal is right.",
}


def compared(run: Run, found: Tested) -> Compared:
    """The embeddings as curves want them."""
    calibration = found.predictor.calibration_for(found.result.protocol)
    fitted = bool(found.result.details.get("calibration", {}).get("fitted_on_these"))
    return Compared(run.label, found.query, found.gallery, found.result.protocol, calibration, fitted)


def retrieval(runs: Sequence[Run]) -> Section:
    groups: dict[str, list[Compared]] = {}
    for run, found in tested(runs):
        groups.setdefault(found.spec, []).append(compared(run, found))
    content: list[Content] = []
    for spec, members in groups.items():
        some = (members[first : first + len(STYLES)] for first in range(0, len(members), len(STYLES)))
        content += [element("div", _figures(each, spec), class_="side") for each in some]
        content += [each for one in members for each in _cameras(one, spec)]
    return Section("retrieval", "Retrieval", tuple(content))


def _figures(runs: Sequence[Compared], spec: str) -> Iterable[Html]:
    single = any(run.protocol.draws for run in runs)  # a mean over drawn galleries has no precision
    for what, caption in _CAPTIONS.items():
        if (what == "pr" and single) or (what == "calibration" and not any(run.calibration for run in runs)):
            continue
        for some in [[run] for run in runs] if what == "histogram" else [runs]:
            figure = retrieval_figure(some, what=[what], title=f"On {spec}")
            alt = f"{caption} {'; '.join(_said(run, what) for run in some)}."
            whose = f"{some[0].name}: " if len(some) < len(runs) else ""
            yield drawn(figure, alt=alt, caption=f"{whose}{caption}")


def _said(run: Compared, what: What) -> str:
    """What a curve comes to, for who cannot see it."""
    if what == "cmc":
        ranks = ", ".join(f"{percent(run.result.rank(k))} % by rank {k}" for k in (1, 5, 10, 20))
        return f"{run.name}: {ranks}"
    if what == "pr":
        return f"{run.name}: mAP {percent(run.result.mean_ap)} %"
    same, different = run.pairs.same.median().item(), run.pairs.different.median().item()
    return f"{run.name}: same pairs lie about {same:.3g} apart, different ones about {different:.3g}"


def _cameras(run: Compared, spec: str) -> Iterable[Content]:
    try:
        figure = cameras_figure(run, title=spec)
    except PasserbyError:  # what is missing is said of slices by cameras
        return
    caption = "Which pairs of cameras are hard, and by which camera wrong answers are."
    alt = (
        f"Four matrices of {run.name}, cameras of queries down and of the gallery across: mAP and rank-1 of each pair, "
    )
    alt += "by which camera the first wrong answer is, and who stands before every right one. Numbers are in the cells."
    if run.protocol.ignore_same_camera:
        caption += " A query's own camera can give no right answer, only wrong ones."
    yield folded(f"By cameras: {run.name}", drawn(figure, alt=alt, caption=caption))
