"""Whole evaluations as curves, all runs over each other, and where cameras mislead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from passerby.errors import PasserbyError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.format import format_number as distance
from passerby.figures.cameras import cameras_figure
from passerby.figures.retrieval_curves import Curve, reliability, retrieval_figure
from passerby.figures.style import STYLES
from passerby.metrics.open_set import RATES, equal_error_rate, supports, true_positive_rate_at
from passerby.report.components import Content, Html, code, element, folded, paragraph
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, percent, tested

_CAPTIONS: dict[Curve, str] = {
    "cmc": "Up to rank k, how many queries have met a right picture.",
    "pr": "Precision by recall, interpolated, the mean over queries.",
    "roc": "Same pairs accepted by false-match rate, by distance alone; points at 0.01, 0.001 and 0.0001.",
    "histogram": "Distances of same and of different pairs; the less they overlap, the better.",
    "calibration": "What the run says of pairs, and what is so; on the diagonal is right.",
}


def compared(run: Run, found: Tested) -> EvaluatedEmbeddings:
    """The embeddings as curves want them."""
    calibration = found.model.calibration_for(found.result.protocol)
    fitted = bool(found.result.details.get("calibration", {}).get("fitted_on_these"))
    return EvaluatedEmbeddings(run.label, found.query, found.gallery, found.result.protocol, calibration, fitted)


def retrieval(runs: Sequence[Run]) -> Section:
    groups: dict[str, list[EvaluatedEmbeddings]] = {}
    for run, found in tested(runs):
        groups.setdefault(found.spec, []).append(compared(run, found))
    content: list[Content] = []
    for spec, members in groups.items():
        some = (members[first : first + len(STYLES)] for first in range(0, len(members), len(STYLES)))
        content.append(_how(members, spec))
        content += [element("div", _figures(each), class_="side") for each in some]
        content += [each for one in members for each in _cameras(one, spec)]
    return Section("retrieval", "Retrieval", tuple(content))


def _figures(runs: Sequence[EvaluatedEmbeddings]) -> Iterable[Html]:
    single = any(run.protocol.draws for run in runs)  # a mean over drawn galleries has no precision
    for what, caption in _CAPTIONS.items():
        if (what == "pr" and single) or (what == "calibration" and not any(run.calibration for run in runs)):
            continue
        for some in [[run] for run in runs] if what == "histogram" else [runs]:
            alt = f"{caption} {'; '.join(f'{run.name}: {_SAID[what](run)}' for run in some)}."
            whose = f"{some[0].name}: " if len(some) < len(runs) else ""
            yield drawn(retrieval_figure(some, what=[what]), alt=alt, caption=f"{whose}{caption}")


def _ranks(run: EvaluatedEmbeddings) -> str:
    return ", ".join(f"{percent(run.result.rank(k))} % by rank {k}" for k in (1, 5, 10, 20))


def _accepted(run: EvaluatedEmbeddings) -> str:
    rates = [rate for rate in RATES if supports(run.pairs, rate)]
    shares = [f"{percent(true_positive_rate_at(run.pairs, rate))} % at {rate:g}" for rate in rates]
    accepted = f"accepted are {', '.join(shares)}" if shares else "the pairs are too few for such rates"
    return f"{accepted}; the equal error rate is {percent(equal_error_rate(run.pairs))} %"


def _apart(run: EvaluatedEmbeddings) -> str:
    same, different = (distance(side.median().item()) for side in (run.pairs.same, run.pairs.different))
    return f"same pairs lie about {same} apart, different ones about {different}"


def _held(run: EvaluatedEmbeddings) -> str:
    bins = reliability(run)
    return "not calibrated" if bins is None else f"what it says errs by {percent(bins.error)} % on average"


_SAID: dict[Curve, Callable[[EvaluatedEmbeddings], str]] = {
    "cmc": _ranks,
    "pr": lambda run: f"mAP {percent(run.result.mean_ap)} %",
    "roc": _accepted,
    "histogram": _apart,
    "calibration": _held,
}
"""What a curve comes to, for who cannot see it."""


def _how(runs: Sequence[EvaluatedEmbeddings], spec: str) -> Html:
    """Once, above figures that would all have to say it."""
    protocols = {str(run.protocol) for run in runs}
    if len(protocols) == 1:
        return paragraph("On ", code(spec), f": {runs[0].protocol}.", class_="note")
    return paragraph("On ", code(spec), "; each run compares pictures as its paper does (Numbers).", class_="note")


def _cameras(run: EvaluatedEmbeddings, spec: str) -> Iterable[Content]:
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
