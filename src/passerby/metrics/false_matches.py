"""The rate of false matches of a calibration among images that it was not fitted on, and whether verdicts may be given.

A threshold of a false-match rate holds for images like those that it was fitted on. Pairs of other images tell whether
it holds for them: of pairs that are known to be of different people the share that is *possible* is the rate itself. Of
random pairs a few are of one person, and possible with good reason. Their share among the possible ones is estimated as

    min(σ, q′ · TPR(1e-3) / TPR(1e-4))

from the share q′ of pairs below the threshold of 1e-4, where nearly all accepted pairs are of one person, and from the
true-positive rates that were measured when the calibration was fitted; σ bounds it, the share of random pairs that is
assumed to be of one person at most. What is left is the rate. Where the distances of different people are much smaller
than they were, q′ counts some of them as the same person: the rate is then too small by about the ratio of the rates at
the two thresholds, 10 to 35 % in the measured worlds (``benchmarks/verdicts.py``).

Pairs that share an image are not independent. The interval is Wilson's (JASA, 1927) for as many independent pairs as
would have the variance of the estimate, which is the dyadic cluster-robust one (Aronow, Samii and Assenova, Political
Analysis, 2015): the products of the deviations of all pairs that share an image, summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.metrics.calibration import SAME_AT, Calibration
from passerby.metrics.open_set import PAIRS_AT_A_RATE, RATES

EXCESS = 3.0
"""The multiple of the stated rate of false matches beyond which verdicts are withheld."""
LIMIT = EXCESS * SAME_AT
"""The rate of false matches beyond which verdicts are withheld."""
ENOUGH = math.ceil(PAIRS_AT_A_RATE / LIMIT)
"""The number of independent pairs of different people that suffices to tell whether the rate exceeds the limit."""
_NORMAL = 1.959963984540054
"""The quantile of the normal distribution of intervals of 95 %."""

_STEP = 1e-3
"""The step of a further margin."""

PairKind = Literal["people", "tracklets", "random"]
"""The kind of pairs: of different known people, of different tracklets at one time in one camera, or random ones."""
State = Literal["holds", "withheld", "unknown"]


@dataclass(frozen=True, eq=False)
class PairSample:
    """Some pairs of images of a gallery."""

    kind: PairKind
    distances: Float[Tensor, " p"]
    images: Int[Tensor, "p 2"]
    """The two images of each pair, by any numbers from 0 on."""
    same: float = 0.0
    """The share of pairs that is assumed to be of one person at most; 0 where none is."""

    def __len__(self) -> int:
        return len(self.distances)


@dataclass(frozen=True, slots=True)
class FalseMatches:
    """The share of pairs of different people that a calibration calls *possible*, where it was not fitted."""

    kind: PairKind
    pairs: int
    """The number of pairs."""
    independent: float
    """The number of independent pairs that would tell as much."""
    share: float
    """The share of pairs that are possible."""
    same: float
    """The share of pairs that are possible and estimated to be of one person."""
    interval: tuple[float, float]
    """The interval of 95 % of the rate."""

    @property
    def rate(self) -> float:
        """The estimated rate of false matches."""
        return _without(self.share, self.same)

    @property
    def state(self) -> State:
        """The decision: whether verdicts hold, are to be withheld, or pairs are too few to tell."""
        enough = self.independent >= ENOUGH
        if self.rate > LIMIT and (enough or self.interval[0] > LIMIT):
            return "withheld"
        return "holds" if enough else "unknown"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "state": self.state,
            "false_match_rate": self.rate,
            "interval": list(self.interval),
            "stated_rate": SAME_AT,
            "pairs": self.pairs,
            "kind": self.kind,
            "possible": self.share,
            "assumed_same": self.same,
        }


def false_matches(calibration: Calibration, pairs: PairSample, *, prior: float | None = None) -> FalseMatches:
    """Estimate the share of pairs of different people that a calibration calls possible.

    Args:
        pairs: pairs of the images in question; at least one.
        prior: the share of same pairs that verdicts are given for (:meth:`Calibration.verdict`).
    """
    possible = calibration.possible(pairs.distances, prior=prior)
    share, independent = possible.double().mean().item(), _independent(possible, pairs.images)
    same = min(pairs.same, _same_share(calibration, pairs.distances)) if pairs.same else 0.0
    same = min(same, share)
    low, high = (_without(end, same) for end in wilson_interval(share, independent))
    return FalseMatches(pairs.kind, len(pairs), independent, share, same, (low, high))


def stricter(calibration: Calibration, pairs: PairSample, *, prior: float | None = None) -> Calibration:
    """Return a calibration with the least further margin with which its rate of false matches is the stated one.

    Args:
        pairs: pairs of the images in question.
        prior: as in :func:`false_matches`.
    """
    if false_matches(calibration, pairs, prior=prior).rate <= SAME_AT:
        return calibration
    low, high = 0.0, float((pairs.distances.max() - pairs.distances.min()).clamp_min(1.0))
    while high - low > _STEP:
        middle = (low + high) / 2
        found = false_matches(_with_margin(calibration, middle), pairs, prior=prior)
        low, high = (low, middle) if found.rate <= SAME_AT else (middle, high)
    return _with_margin(calibration, math.ceil(high / _STEP) * _STEP)


def _with_margin(calibration: Calibration, further: float) -> Calibration:
    return replace(calibration, margin=round(calibration.margin + further, 6))


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the interval of 95 % of a share that was found among n.

    >>> [round(end, 4) for end in wilson_interval(0.0, 1000)]
    [0.0, 0.0038]
    """
    square = _NORMAL**2 / n
    center = (share + square / 2) / (1 + square)
    spread = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(0.0, center - spread), min(1.0, center + spread)


def _same_share(calibration: Calibration, distances: Float[Tensor, " p"]) -> float:
    """Return the estimated share of pairs that are possible and of one person; 0 where the calibration cannot tell."""
    strict = min(RATES)
    known = {each.rate: each.true_positive_rate for each in calibration.held_out.at}
    near, nearest = known.get(SAME_AT), known.get(strict)
    if not near or not nearest or calibration.threshold(strict) is None:
        return 0.0
    share = calibration.accepted(distances, strict).double().mean().item()
    return max(0.0, share - strict) * max(1.0, near / nearest)


def _without(share: float, same: float) -> float:
    """Return the share among the pairs of different people, where ``same`` of all pairs are taken away."""
    return max(0.0, share - same) / (1 - same) if same < 1 else 0.0


def _independent(possible: Tensor, images: Int[Tensor, "p 2"]) -> float:
    """Return how many independent pairs would have the standard error of the share of possible ones."""
    share, n = possible.double().mean(), len(possible)
    if not 0 < share < 1:
        return float(n)
    number = int(images.max()) + 1
    both = images.flatten()
    degrees = torch.bincount(both, minlength=number).double()
    found = torch.bincount(both, possible.repeat_interleave(2).double(), minlength=number)
    single = n * share * (1 - share)  # each pair shares both images with itself, but counts once
    variance = ((found - share * degrees) ** 2).sum() - single
    return float(n * min(1.0, (single / variance.clamp_min(1e-9)).item()))
