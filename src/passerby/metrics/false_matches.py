"""The rate of false matches of a calibration among images that it was not fitted on, and whether verdicts may be given.

A threshold of a false-match rate holds for images like those that it was fitted on. Pairs of other images tell whether
it holds for them: of pairs that are known to be of different people the share that is *possible* is the rate itself. Of
random pairs a few are of one person, and possible with good reason. Their share is estimated as

    (q′ − 1e-4) · TPR(d) / TPR(d′)

from the share q′ of pairs nearer than the threshold d′ of 1e-4, where nearly all are of one person, and from the
true-positive rates up to d′ and up to the farthest possible pair, d, as they were measured when the calibration was
fitted, between the thresholds on straight lines. It is at most the share of random pairs that is assumed to be of one
person, and no image has more possible partners of its own person than is assumed. What is left is the rate. Where
distances of different people are much smaller than they were, q′ counts some of them as the same person, and the rate
is too small; ``benchmarks/verdicts.py`` measures by how much.

The other way round, where fewer than a third of the stated 1e-2 are nearer than that threshold, distances are larger
than they were, and true matches too are beyond it.

Pairs that share an image are not independent. The interval is Wilson's (JASA, 1927) for as many independent pairs as
would have the variance of the estimate, which is the dyadic cluster-robust one (Aronow, Samii and Assenova, Political
Analysis, 2015): the products of the deviations of all pairs that share an image, summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.metrics.calibration import DIFFERENT_AT, SAME_AT, Calibration
from passerby.metrics.open_set import PAIRS_AT_A_RATE, RATES

EXCESS = 3.0
"""The multiple of the stated rate of false matches beyond which verdicts are withheld."""
LIMIT = EXCESS * SAME_AT
"""The rate of false matches beyond which verdicts are withheld."""
ENOUGH = math.ceil(PAIRS_AT_A_RATE / LIMIT)
"""The number of independent pairs of different people that suffices to tell whether the rate exceeds the limit."""
_NORMAL = 1.959963984540054
"""The quantile of the normal distribution of intervals of 95 %."""

_HIDDEN = 1.5
"""The factor by which the rate of random pairs may be too small; 1.2 was measured where no pairs are known."""
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
    partners: float = math.inf
    """The number of pairs of one person that an image is assumed to be in at most."""
    measured: float | None = None
    """The share of pairs of one person, where it has been estimated already; the lower estimate counts."""

    def __len__(self) -> int:
        return len(self.distances)

    @cached_property
    def degrees(self) -> Int[Tensor, " n"]:
        """The number of pairs of each image."""
        return torch.bincount(self.images.flatten())


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
    near: float | None = None
    """The share of pairs below the threshold of 1e-2, without a margin; ``None`` if there is no such threshold."""

    @property
    def rate(self) -> float:
        """The estimated rate of false matches."""
        return _without(self.share, self.same)

    @property
    def state(self) -> State:
        """The decision: whether verdicts hold, are to be withheld, or pairs are too few to tell.

        Where many pairs tell little, as most of the possible ones share a few images, doubt suffices to withhold.
        """
        low, high = self.interval
        if self.independent >= ENOUGH:
            return "withheld" if self.rate > LIMIT else "holds"
        return "withheld" if low > LIMIT or (self.pairs >= ENOUGH and high > LIMIT) else "unknown"

    @property
    def distant(self) -> bool:
        """The flag that distances are larger than those of the calibration: its *no evidence* would say too much."""
        return self.near is not None and self.independent >= ENOUGH and self.near < DIFFERENT_AT / EXCESS

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
            "near": self.near,
            "distant": self.distant,
        }


def false_matches(calibration: Calibration, pairs: PairSample, *, prior: float | None = None) -> FalseMatches:
    """Estimate the share of pairs of different people that a calibration calls possible.

    Args:
        pairs: pairs of the images in question; at least one.
        prior: the share of same pairs that verdicts are given for (:meth:`Calibration.verdict`).
    """
    possible = calibration.possible(pairs.distances, prior=prior)
    share, independent = possible.sum().item() / len(pairs), _independent(possible, pairs)
    same = _same_share(calibration, pairs, possible) if pairs.same else 0.0
    low, high = (_without(end, same) for end in wilson_interval(share, independent))
    far = calibration.threshold(DIFFERENT_AT)
    near = None if far is None else (pairs.distances < far).sum().item() / len(pairs)
    return FalseMatches(pairs.kind, len(pairs), independent, share, same, (low, high), near)


def stricter(calibration: Calibration, pairs: PairSample, *, prior: float | None = None) -> Calibration:
    """Return a calibration whose rate of false matches is the stated one: with a further margin where it is higher.

    The margin is the least with which the upper end of the interval of the rate is at most the stated one; for random
    pairs, whose rate is estimated too small where different people look alike, two thirds of it.

    Args:
        pairs: pairs of the images in question.
        prior: as in :func:`false_matches`.
    """
    if false_matches(calibration, pairs, prior=prior).rate <= SAME_AT:
        return calibration
    low, high = 0.0, float((pairs.distances.max() - pairs.distances.min()).clamp_min(1.0))
    target = SAME_AT / (_HIDDEN if pairs.same else 1.0)
    while high - low > _STEP:
        middle = (low + high) / 2
        found = false_matches(_with_margin(calibration, middle), pairs, prior=prior)
        low, high = (low, middle) if found.interval[1] <= target else (middle, high)
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


def _same_share(calibration: Calibration, pairs: PairSample, possible: Tensor) -> float:
    """Return the estimated share of random pairs that are possible and of one person; 0 where it cannot be told."""
    thresholds, rates = {t.rate: t.distance for t in calibration.thresholds}, _true_positive_rates(calibration)
    strict = thresholds.get(min(RATES))
    if not possible.any():
        return 0.0
    farthest = pairs.distances[possible].max().item()
    found = [] if pairs.measured is None else [pairs.measured * rates(farthest)]
    if strict is not None and (accepted := rates(strict)):
        share = (pairs.distances < strict).sum().item() / len(pairs) - min(RATES)
        found.append(max(0.0, share) * rates(farthest) / accepted)
    if not found:
        return 0.0
    partners = torch.bincount(pairs.images[possible].flatten()).clamp_max(pairs.partners)
    bounds = (pairs.same, partners.sum().item() / (2 * len(pairs)))
    return min(*found, *bounds)


def _true_positive_rates(calibration: Calibration) -> Callable[[float], float]:
    """Return the true-positive rate by distance, on straight lines between the thresholds where it was measured."""
    measured = [(at.distance, at.true_positive_rate) for at in calibration.held_out.at]
    known = sorted((d, rate) for d, rate in measured if d is not None and rate is not None)
    distances, rates = zip((0.0, 0.0), *known, strict=True)
    return lambda distance: float(np.interp(distance, distances, rates))


def _without(share: float, same: float) -> float:
    """Return the share among the pairs of different people, where ``same`` of all pairs are taken away."""
    return max(0.0, share - same) / (1 - same) if same < 1 else 0.0


def _independent(possible: Tensor, pairs: PairSample) -> float:
    """Return how many independent pairs would have the variance of the share of possible ones."""
    n, share = len(pairs), possible.sum().item() / len(pairs)
    if not 0 < share < 1:
        return float(n)
    found = torch.bincount(pairs.images[possible].flatten(), minlength=len(pairs.degrees))
    single = n * share * (1 - share)  # each pair shares both images with itself, but counts once
    variance = ((found - share * pairs.degrees) ** 2).sum().item() - single
    return n * min(1.0, single / max(variance, 1e-9))
