"""Retrieval: the curves of whole evaluations, all runs in one figure, and metrics by pair of cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from markupsafe import Markup

from passerby.errors import PasserbyError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.format import format_number
from passerby.figures.cameras import cameras_figure
from passerby.figures.retrieval_curves import Curve, reliability, retrieval_figure
from passerby.figures.style import STYLES
from passerby.metrics.open_set import RATES, equal_error_rate, supports, true_positive_rate_at
from passerby.report.components import code, details, paragraph, percent, side_by_side
from passerby.report.figure import show_figure
from passerby.report.inputs.run import Run, evaluated, evaluated_embeddings, group_by_data
from passerby.report.registry import section
from passerby.report.templates import format_html

_CAPTIONS: dict[Curve, str] = {
    "cmc": "CMC: the share of queries with a true match up to rank k.",
    "pr": "Precision by recall, interpolated, mean over queries.",
    "roc": "ROC: same pairs accepted by false-match rate, by distance alone; points at 0.01, 0.001 and 0.0001.",
    "histogram": "Distances of same and of different pairs; the less they overlap, the better.",
    "calibration": "Predicted probability and observed frequency of same pairs; on the diagonal both agree.",
}


@section("retrieval", "Retrieval", order=50, needs="embeddings")
def retrieval(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the curves of the runs on each data, and the matrices of cameras."""
    for spec, group in group_by_data(evaluated(runs)).items():
        members = [evaluated_embeddings(run, evaluation) for run, evaluation in group]
        yield _protocol(members, spec)
        for first in range(0, len(members), len(STYLES)):
            yield side_by_side(_figures(members[first : first + len(STYLES)]))
        for each in members:
            yield from _cameras(each, spec)


def _figures(runs: Sequence[EvaluatedEmbeddings]) -> Iterator[Markup]:
    random_galleries = any(run.protocol.draws for run in runs)  # a mean over galleries has no precision
    for curve, caption in _CAPTIONS.items():
        if (curve == "pr" and random_galleries) or (
            curve == "calibration" and not any(run.calibration for run in runs)
        ):
            continue
        for some in [[run] for run in runs] if curve == "histogram" else [runs]:
            alt = f"{caption} {'; '.join(f'{run.name}: {_VALUES[curve](run)}' for run in some)}."
            owner = f"{some[0].name}: " if len(some) < len(runs) else ""
            yield show_figure(retrieval_figure(some, what=[curve]), alt=alt, caption=f"{owner}{caption}")


def _ranks(run: EvaluatedEmbeddings) -> str:
    return ", ".join(f"{percent(run.result.rank(k))} % by rank {k}" for k in (1, 5, 10, 20))


def _accepted(run: EvaluatedEmbeddings) -> str:
    rates = [rate for rate in RATES if supports(run.pairs, rate)]
    shares = [f"{percent(true_positive_rate_at(run.pairs, rate))} % at {rate:g}" for rate in rates]
    accepted = f"accepted are {', '.join(shares)}" if shares else "there are too few pairs for such rates"
    return f"{accepted}; the equal error rate is {percent(equal_error_rate(run.pairs))} %"


def _medians(run: EvaluatedEmbeddings) -> str:
    same, different = (format_number(side.median().item()) for side in (run.pairs.same, run.pairs.different))
    return f"the median distance of same pairs is {same}, of different pairs {different}"


def _calibration_error(run: EvaluatedEmbeddings) -> str:
    bins = reliability(run)
    return "not calibrated" if bins is None else f"the expected calibration error is {percent(bins.error)} %"


_VALUES: dict[Curve, Callable[[EvaluatedEmbeddings], str]] = {
    "cmc": _ranks,
    "pr": lambda run: f"mAP {percent(run.result.mean_ap)} %",
    "roc": _accepted,
    "histogram": _medians,
    "calibration": _calibration_error,
}
"""The values of a curve in words, for readers who cannot see it."""


def _protocol(runs: Sequence[EvaluatedEmbeddings], spec: str) -> Markup:
    """Return the protocol, once above figures that would all have to repeat it."""
    if len({str(run.protocol) for run in runs}) == 1:
        return paragraph(format_html("On {}: {}.", code(spec), runs[0].protocol), kind="note")
    text = "On {}; each run compares images as its paper does (Evaluation protocol)."
    return paragraph(format_html(text, code(spec)), kind="note")


def _cameras(run: EvaluatedEmbeddings, spec: str) -> Iterator[Markup]:
    try:
        figure = cameras_figure(run, title=spec)
    except PasserbyError:  # cameras are unknown, which the missing subgroups by cameras explain
        return
    caption = "Metrics by pair of cameras, and the cameras of false matches."
    alt = (
        f"Four matrices of {run.name}, cameras of queries down and of the gallery across: mAP and rank-1 of each pair, "
        "the camera of the first false match, and the cameras of the images ranked before every true match. Numbers "
        "are in the cells."
    )
    if run.protocol.ignore_same_camera:
        caption += " A query's own camera has no true matches, only false ones."
    yield details(f"By camera: {run.name}", show_figure(figure, alt=alt, caption=caption))
