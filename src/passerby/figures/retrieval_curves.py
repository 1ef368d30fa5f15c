"""Whole evaluations as curves, several runs over each other; each run has a color and a line style of its own.

=============  ========================================================================================================
cmc            share of queries with a right answer among the first k
pr             precision by recall, interpolated, the mean over queries (:func:`.metrics.functional.precision_recall`)
roc            share of same pairs that are accepted by that of different pairs, which is the false-match rate
det            the same with the share of same pairs that are missed, both logarithmic
histogram      distances of same and different pairs, a panel a run; thresholds at false-match rates
calibration    P(same) as a calibrated run says it against what is so, same and different pairs weighing alike
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
from passerby.figures.panels import Panel, Place, dressed, line_of, panels_figure
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
"""Of points, in the order of the runs."""
SAME, DIFFERENT = "#0072B2", "#D55E00"
_POINTS = 400
_PERCENT = 100


def parse_curves(text: str) -> tuple[Curve, ...]:
    """``cmc,roc`` as names, in the order in which they are drawn.

    Raises:
        UnknownNameError: for a name that is none.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in CURVES:
            raise UnknownNameError("curve", name, CURVES)
    return tuple(name for name in CURVES if name in names)


def retrieval_figure(
    runs: Sequence[EvaluatedEmbeddings], *, what: Sequence[Curve] = ("cmc", "pr"), title: str = ""
) -> Figure:
    """The curves that are asked for, a panel each; of histograms a panel a run.

    Args:
        title: says on which data; how embeddings were compared is added where all agree. Empty: the page says both.

    Raises:
        ConfigError: if there are no runs, more than line styles, nothing to draw, or no calibration to draw.
        ProtocolError: if a protocol has no such curve.
    """
    if not 1 <= len(runs) <= len(STYLES):
        raise ConfigError(f"a figure of curves shows 1 to {len(STYLES)} runs, got {len(runs)}; make several figures")
    panels = _panels(runs, what)
    if not panels:
        raise ConfigError(f"nothing is to be drawn; ask for some of {', '.join(CURVES)}")
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
    how = f"{runs[0].protocol}" if len(protocols) == 1 else "each run compared as its paper does"
    return f"{title}: {how}"


def _cmc(place: Place, runs: Sequence[EvaluatedEmbeddings]) -> None:
    axes = place.one("Cumulative matching characteristic", "rank k", "queries with a match among k, %")
    lines = []
    for number, run in enumerate(runs):
        found = run.result
        ranks = ", ".join(f"{k}: {_PERCENT * found.rank(k):.1f}" for k in (1, 5, 10, 20))
        values = [_PERCENT * share for share in found.cmc]
        lines.append(line_of(axes, number, range(1, len(values) + 1), values, label=f"{run.name}: rank {ranks} %"))
    longest = max(len(run.result.cmc) for run in runs)
    axes.set_xticks([k for k in (1, 5, 10, 20, 30, 40, 50) if k <= longest])
    place.legend(lines)


def _precision_recall(place: Place, runs: Sequence[EvaluatedEmbeddings]) -> None:
    axes = place.one("Precision by recall, interpolated, mean over queries", "recall, %", "precision, %")
    lines = []
    for number, run in enumerate(runs):
        recalls, precisions = (_PERCENT * side.numpy() for side in run.precision_recall)
        assert run.result.mean_ap is not None
        label = f"{run.name}: mAP {_PERCENT * run.result.mean_ap:.1f} % (not interpolated)"
        lines.append(line_of(axes, number, recalls, precisions, label=label))
    axes.set(xlim=(0, 100), ylim=(0, 103))
    place.legend(lines)


def roc_points(pairs: Pairs, *, points: int = _POINTS) -> tuple[Any, Any]:
    """False-match rates, from the lowest that the pairs support to 1, and the true-positive rate at each.

    As many points as a figure can show, each exact: the best that its rate allows.
    """
    lowest = min(0.1, PAIRS_AT_A_RATE / pairs.total)
    wanted = torch.logspace(float(np.log10(lowest)), 0, points, dtype=torch.float64)
    found = roc(pairs)
    places = torch.searchsorted(found.false_match_rate, wanted * (1 + 1e-12), right=True) - 1
    return wanted.numpy(), found.true_positive_rate[places].numpy()


def _roc(place: Place, runs: Sequence[EvaluatedEmbeddings], *, missed: bool = False) -> None:
    name, y = ("Detection error trade-off", "missed") if missed else ("Receiver operating characteristic", "accepted")
    axes = place.one(name, "false-match rate: different pairs accepted", f"same pairs {y}, %")
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    lines = []
    for number, run in enumerate(runs):
        rates, shares = roc_points(run.pairs)
        values = _PERCENT * ((1 - shares) if missed else shares)
        label = f"{run.name}: {_operating(run.pairs)}"
        lines.append(
            line_of(axes, number, rates, np.where(values > 0, values, np.nan) if missed else values, label=label)
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


def _operating(pairs: Pairs) -> str:
    """Thresholds and what they come to, in words; a dash where there are too few pairs to know."""
    known = [(rate, supports(pairs, rate)) for rate in RATES]
    shares = [f"{_PERCENT * true_positive_rate_at(pairs, rate):.1f}" if sure else "–" for rate, sure in known]
    thresholds = [f"{threshold_at(pairs, rate):.3g}" if sure else "–" for rate, sure in known]
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    first = f"equal error rate {_PERCENT * equal_error_rate(pairs):.2f} %"
    return f"{first}\nat {rates}: {', '.join(shares)} %, d < {', '.join(thresholds)}"


def distance_name(protocol: Protocol) -> str:
    """What the numbers on an axis of distances are."""
    if protocol.distance == "global":
        return f"squared Euclidean distance{' of unit vectors' if protocol.normalize else ''}"
    return f"distance {protocol.distance}"


def _short(name: str, most: int = 45) -> str:
    """What a panel's title has room for; the end of a name tells more than its beginning."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _histogram(place: Place, run: EvaluatedEmbeddings) -> None:
    axes = place.one(f"Distances: {_short(run.name)}", distance_name(run.protocol), "share of the pairs, %")
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
            "none of these runs is calibrated for such distances, so there is no reliability to draw: "
            "passerby calibrate RUN --data DATA, or leave calibration out"
        )
    upper, lower = place.axes(3, 1)
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)
    dressed(upper, "Calibration: same and different pairs weigh alike", "", "pairs that are the same, %")
    dressed(lower, "", "P(same) that the run says, %", "pairs a bin")
    upper.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
    upper.annotate("gray: as it should be", (100, 1), ha="right", fontsize=FONT - 1)
    lines, counts = [], [1.0]
    for number, run in enumerate(runs):
        bins = reliability(run)
        counts += [] if bins is None else bins.pairs.tolist()
        marks = {"marker": MARKERS[number], "markersize": 4}
        x, y = ([], []) if bins is None else (_PERCENT * side.numpy() for side in (bins.probability, bins.share))
        lines.append(line_of(upper, number, x, y, label=f"{run.name}: {_held(run, bins)}", **marks))
        line_of(lower, number, x, [] if bins is None else bins.pairs.numpy(), **marks)
    lower.set(yscale="log", ylim=(0.5, 4 * max(counts)))
    lower.yaxis.set_minor_formatter(NullFormatter())
    upper.set(xlim=(-3, 103), ylim=(-3, 103))
    place.legend(lines)


def reliability(run: EvaluatedEmbeddings) -> Reliability | None:
    """Of a calibrated run, same and different pairs weighing alike; ``None`` of another."""
    known = run.calibration
    return reliability_of(known.curve, run.pairs, prior=known.prior, balanced=True) if known else None


def _held(run: EvaluatedEmbeddings, bins: Reliability | None) -> str:
    if bins is None:
        return "not calibrated"
    flattered = ", fitted on these very pictures" if run.fitted_on_these else ""
    return f"expected error {_PERCENT * bins.error:.1f} %{flattered}"
