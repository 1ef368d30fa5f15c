"""The curves of an evaluation, of several runs over each other; each run has its own color and line style.

=============  ========================================================================================================
cmc            share of queries with a true match among the first k
pr             precision by recall, interpolated, the mean over queries (:func:`.metrics.functional.precision_recall`)
roc            share of accepted same pairs by the share of accepted different pairs (the false-match rate)
det            the same with the share of missed same pairs, both logarithmic
histogram      distances of same and different pairs, one panel per run; thresholds at false-match rates
calibration    predicted P(same) of a calibrated run against the observed share; same and different pairs weigh alike
=============  ========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from passerby.errors import ConfigError, UnknownNameError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.figures.panels import Panel, Place, draw_line, label_axes, panels_figure
from passerby.figures.registry import figure
from passerby.figures.style import FONT, SERIES, STYLES
from passerby.metrics.open_set import (
    PAIRS_AT_A_RATE,
    RATES,
    Pairs,
    equal_error_rate,
    histogram,
    roc,
    supports,
    threshold_at,
    true_positive_rate_at,
)
from passerby.metrics.probability import Reliability, reliability_of
from passerby.types import Protocol

Curve = Literal["cmc", "pr", "roc", "det", "histogram", "calibration"]
CURVES: tuple[Curve, ...] = get_args(Curve)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""The markers of points, in the order of the runs."""
SAME, DIFFERENT = "#0072B2", "#D55E00"
_POINTS = 400
_PERCENT = 100


def parse_curves(text: str) -> tuple[Curve, ...]:
    """Parse names such as ``cmc,roc`` and return them in the order of the panels.

    Raises:
        UnknownNameError: if a curve is unknown.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in CURVES:
            raise UnknownNameError("curve", name, CURVES)
    return tuple(name for name in CURVES if name in names)


@figure("retrieval", title="Retrieval curves", needs="embeddings", several=True, section="retrieval")
def retrieval_figure(
    runs: Sequence[EvaluatedEmbeddings], *, what: Sequence[Curve] = ("cmc", "pr"), title: str = ""
) -> Figure:
    """Draw CMC, precision by recall, ROC, DET, histograms of distances, calibration: one panel each.

    Args:
        what: the curves; of histograms there is one panel per run.
        title: the data; the protocol is added where all runs have the same. Empty: no title.

    Raises:
        ConfigError: if there are no runs or more than line styles, no curves, or no run has a calibration to draw.
        ProtocolError: if a protocol has no such curve.
    """
    if not 1 <= len(runs) <= len(STYLES):
        raise ConfigError(
            f"a figure of curves shows 1 to {len(STYLES)} runs, got {len(runs)}. Fix: make several figures"
        )
    panels = _panels(runs, what)
    if not panels:
        raise ConfigError(f"no curves to draw. Fix: name some of {', '.join(CURVES)}")
    return panels_figure(panels, title=_title(runs, title) if title else "")


def _panels(runs: Sequence[EvaluatedEmbeddings], what: Sequence[Curve]) -> list[Panel]:
    of_all: dict[Curve, Callable[..., None]] = {
        "cmc": _cmc, "pr": _precision_recall, "roc": _roc, "det": _det, "calibration": _calibration,
    }  # fmt: skip
    panels = []
    for name in what:
        if name == "histogram":
            panels += [Panel(partial(_histogram, run=run), 3) for run in runs]
        else:
            panels.append(Panel(partial(of_all[name], runs=runs), len(runs) * (2 if name in ("roc", "det") else 1)))
    return panels


def _title(runs: Sequence[EvaluatedEmbeddings], title: str) -> str:
    protocols = {run.protocol for run in runs}
    protocol = f"{runs[0].protocol}" if len(protocols) == 1 else "each run under its own protocol"
    return f"{title}: {protocol}"


def _cmc(place: Place, runs: Sequence[EvaluatedEmbeddings]) -> None:
    axes = place.single("Cumulative matching characteristic", "rank k", "queries with a match among k, %")
    lines = []
    for number, run in enumerate(runs):
        found = run.result
        ranks = ", ".join(f"{k}: {_PERCENT * found.rank(k):.1f}" for k in (1, 5, 10, 20))
        values = [_PERCENT * share for share in found.cmc]
        lines.append(draw_line(axes, number, range(1, len(values) + 1), values, label=f"{run.name}: rank {ranks} %"))
    longest = max(len(run.result.cmc) for run in runs)
    axes.set_xticks([k for k in (1, 5, 10, 20, 30, 40, 50) if k <= longest])
    place.legend(lines)


def _precision_recall(place: Place, runs: Sequence[EvaluatedEmbeddings]) -> None:
    axes = place.single("Precision by recall, interpolated, mean over queries", "recall, %", "precision, %")
    lines = []
    for number, run in enumerate(runs):
        recalls, precisions = (_PERCENT * side.numpy() for side in run.precision_recall)
        assert run.result.mean_ap is not None
        label = f"{run.name}: mAP {_PERCENT * run.result.mean_ap:.1f} % (not interpolated)"
        lines.append(draw_line(axes, number, recalls, precisions, label=label))
    axes.set(xlim=(0, 100), ylim=(0, 103))
    place.legend(lines)


def roc_points(pairs: Pairs, *, points: int = _POINTS) -> tuple[Any, Any]:
    """Return false-match rates, from the lowest that the pairs support to 1, and the true-positive rate at each.

    There are as many points as a figure can show, each exact: the best that its rate allows.
    """
    lowest = min(0.1, PAIRS_AT_A_RATE / pairs.total)
    wanted = torch.logspace(float(np.log10(lowest)), 0, points, dtype=torch.float64)
    found = roc(pairs)
    places = torch.searchsorted(found.false_match_rate, wanted * (1 + 1e-12), right=True) - 1
    return wanted.numpy(), found.true_positive_rate[places].numpy()


def _roc(place: Place, runs: Sequence[EvaluatedEmbeddings], *, missed: bool = False) -> None:
    name, y = ("Detection error trade-off", "missed") if missed else ("Receiver operating characteristic", "accepted")
    axes = place.single(name, "false-match rate: different pairs accepted", f"same pairs {y}, %")
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    lines = []
    for number, run in enumerate(runs):
        rates, shares = roc_points(run.pairs)
        values = _PERCENT * ((1 - shares) if missed else shares)
        label = f"{run.name}: {_operating_points(run.pairs)}"
        lines.append(
            draw_line(axes, number, rates, np.where(values > 0, values, np.nan) if missed else values, label=label)
        )
        for rate in filter(partial(supports, run.pairs), RATES):
            share = true_positive_rate_at(run.pairs, rate)
            value = _PERCENT * (1 - share if missed else share)
            axes.plot([rate], [value], marker=MARKERS[number], color=SERIES[number], markersize=5)
    for rate in RATES:
        axes.axvline(rate, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
    if missed:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 103)
    axes.set_xlim(right=1)
    place.legend(lines)


_det = partial(_roc, missed=True)


def _operating_points(pairs: Pairs) -> str:
    """Describe the thresholds and rates of the operating points; a dash where there are too few pairs."""
    known = [(rate, supports(pairs, rate)) for rate in RATES]
    shares = [f"{_PERCENT * true_positive_rate_at(pairs, rate):.1f}" if sure else "–" for rate, sure in known]
    thresholds = [f"{threshold_at(pairs, rate):.3g}" if sure else "–" for rate, sure in known]
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    first = f"equal error rate {_PERCENT * equal_error_rate(pairs):.2f} %"
    return f"{first}\nat {rates}: {', '.join(shares)} %, d < {', '.join(thresholds)}"


def distance_name(protocol: Protocol) -> str:
    """Name the distance of a protocol for an axis."""
    if protocol.distance == "global":
        return f"squared Euclidean distance{' of unit vectors' if protocol.normalize else ''}"
    return f"distance {protocol.distance}"


def _short(name: str, most: int = 45) -> str:
    """Truncate a name for the title of a panel to its end, which tells more than its beginning."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _histogram(place: Place, run: EvaluatedEmbeddings) -> None:
    axes = place.single(f"Distances: {_short(run.name)}", distance_name(run.protocol), "share of the pairs, %")
    axes.locator_params(axis="x", nbins=6)  # labels of small distances are long
    found, pairs = histogram(run.pairs), run.pairs
    across = " by another camera" if run.protocol.ignore_same_camera else ""
    edges = found.edges.numpy()
    same = axes.stairs(
        _PERCENT * found.same.numpy(), edges, fill=True, facecolor=f"{SAME}66", edgecolor=SAME, linewidth=1.2,
        label=f"the same person{across}: {len(pairs.same):,} pairs",
    )  # fmt: skip
    different = axes.stairs(
        _PERCENT * found.different.numpy(), edges, fill=True, facecolor="none", edgecolor=DIFFERENT, hatch="////",
        linewidth=1.2, linestyle="--", label=f"different people: {pairs.total:,} pairs",
    )  # fmt: skip
    axes.set_ylim(0, 1.45 * _PERCENT * max(found.same.max().item(), found.different.max().item()))
    for row, rate in enumerate(rate for rate in RATES if supports(pairs, rate)):
        axes.axvline(threshold_at(pairs, rate), color="black", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{rate:g}", (threshold_at(pairs, rate), 0.96 - 0.075 * row), xycoords=axes.get_xaxis_transform(),
            fontsize=FONT - 1, ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    dotted = Line2D([], [], color="black", linewidth=0.8, linestyle=":", label="thresholds at these false-match rates")
    place.legend([same, different, dotted])


def _calibration(place: Place, runs: Sequence[EvaluatedEmbeddings]) -> None:
    if not any(run.calibration for run in runs):
        raise ConfigError(
            "none of these runs is calibrated for these distances. Fix: passerby calibrate RUN --data DATA --distance "
            f"{runs[0].protocol.distance}, with --overwrite where it is calibrated for others, or leave calibration out"
        )
    upper, lower = place.stacked(3, 1)
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)
    label_axes(upper, "Calibration: same and different pairs weigh alike", "", "same pairs, %")
    label_axes(lower, "", "predicted P(same), %", "pairs per bin")
    upper.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
    upper.annotate("gray: ideal", (100, 1), ha="right", fontsize=FONT - 1)
    lines, counts = [], [1.0]
    for number, run in enumerate(runs):
        bins = reliability(run)
        counts += [] if bins is None else bins.pairs.tolist()
        marks = {"marker": MARKERS[number], "markersize": 4}
        x, y = ([], []) if bins is None else (_PERCENT * side.numpy() for side in (bins.probability, bins.share))
        lines.append(draw_line(upper, number, x, y, label=f"{run.name}: {_calibration_error(run, bins)}", **marks))
        draw_line(lower, number, x, [] if bins is None else bins.pairs.numpy(), **marks)
    lower.set(yscale="log", ylim=(0.5, 4 * max(counts)))
    lower.yaxis.set_minor_formatter(NullFormatter())
    upper.set(xlim=(-3, 103), ylim=(-3, 103))
    place.legend(lines)


def reliability(run: EvaluatedEmbeddings) -> Reliability | None:
    """Compute the reliability of a calibrated run, same and different pairs weighing alike; ``None`` without one."""
    known = run.calibration
    return reliability_of(known.curve, run.pairs, prior=known.prior, balanced=True) if known else None


def _calibration_error(run: EvaluatedEmbeddings, bins: Reliability | None) -> str:
    if bins is None:
        return "not calibrated"
    note = ", fitted on these same images" if run.fitted_on_these else ""
    return f"expected error {_PERCENT * bins.error:.1f} %{note}"
