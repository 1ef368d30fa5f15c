"""Fit P(same person) to distances, by isotonic or logistic regression on pairs, and measure the calibration error.

=========  ========================================================================================================
isotonic   the maximum-likelihood probabilities that never rise with the distance, by pooling adjacent violators
           (Ayer et al., 1955; Zadrozny and Elkan, KDD 2002)
logistic   1 / (1 + exp(s·d − c)), s ≥ 0, fitted to (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), not to 1 and 0 (Platt, 1999)
=========  ========================================================================================================

A finite number of pairs cannot prove that an event never happens: isotonic probabilities too end at Platt's targets.

A probability holds for one share of same pairs, the *prior*: in a gallery with ten times as many other people, a pair
of the same distance is less likely to be the same person. :func:`with_prior` converts one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ProtocolError, UnknownNameError
from passerby.metrics.open_set import Pairs

Method = Literal["isotonic", "logistic"]
BINS = 15
"""The number of bins of the calibration error."""
_NEWTON_STEPS = 100
_SMALL = 1e-12


@dataclass(frozen=True, slots=True)
class Steps:
    """A step function from distance to probability."""

    edges: tuple[float, ...]
    """The edges of the steps, ascending; a step includes its upper edge."""
    probabilities: tuple[float, ...]
    """The probabilities, descending; one more than edges: the last holds beyond them."""

    def __call__(self, distances: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        edges, values = (torch.tensor(side, dtype=torch.float64) for side in (self.edges, self.probabilities))
        return values[torch.searchsorted(edges, distances.double())]


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """The function 1 / (1 + exp(slope · d − intercept))."""

    slope: float
    """The slope, at least 0."""
    intercept: float

    def __call__(self, distances: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.sigmoid(self.intercept - self.slope * distances.double())


Curve: TypeAlias = Steps | Sigmoid


def fit(pairs: Pairs, method: Method = "isotonic") -> Curve:
    """Fit P(same person) to pairs, weighted as they occur.

    Raises:
        UnknownNameError: if there is no such method.
    """
    if method not in get_args(Method):
        raise UnknownNameError("calibration method", method, get_args(Method))
    return isotonic(pairs) if method == "isotonic" else logistic(pairs)


def isotonic(pairs: Pairs) -> Steps:
    """Fit the P that minimizes Σ counts · (P − same)² and never rises; pairs of equal distance share one P."""
    from scipy.optimize import isotonic_regression  # imports slowly

    distances, labels, counts = labeled_pairs(pairs)
    places, group = distances.unique(return_inverse=True)
    weight = torch.zeros(len(places), dtype=torch.float64).index_add(0, group, counts)
    same = torch.zeros(len(places), dtype=torch.float64).index_add(0, group, counts * labels)
    found = isotonic_regression((same / weight).numpy(), weights=weight.numpy(), increasing=False)
    low, high = _targets(pairs)
    values = torch.from_numpy(found.x.copy()).clamp(low, high)  # torch takes no negative strides
    ends = (values.diff() != 0).nonzero().squeeze(1)
    return Steps(tuple(places[ends].tolist()), (*values[ends].tolist(), values[-1].item()))


def logistic(pairs: Pairs) -> Sigmoid:
    """Fit by maximum likelihood with Newton's method; if same pairs are no nearer than others, P is constant."""
    distances, labels, counts = labeled_pairs(pairs)
    low, high = _targets(pairs)
    targets, weight = low + (high - low) * labels, counts / counts.sum()
    mean = (weight * distances).sum()
    spread = (weight * (distances - mean) ** 2).sum().sqrt()
    constant = torch.special.logit((weight * targets).sum())
    if spread < _SMALL:
        return Sigmoid(0.0, constant.item())
    x = torch.stack([torch.ones_like(distances), (distances - mean) / spread], dim=1)
    b = _newton(x, targets, weight, torch.stack([constant, torch.zeros_like(constant)]))
    if b[1] >= 0:  # then the best allowed slope is 0
        return Sigmoid(0.0, constant.item())
    slope = -b[1] / spread
    return Sigmoid(slope.item(), (b[0] + slope * mean).item())


def _newton(
    x: Float[Tensor, "n 2"], targets: Float[Tensor, " n"], weight: Float[Tensor, " n"], b: Float[Tensor, " 2"]
) -> Float[Tensor, " 2"]:
    """Return the b that minimizes Σ weight · (cross-entropy of targets and sigmoid(x b)); bad steps are halved."""

    def loss(b: Tensor) -> Tensor:
        z = x @ b
        return (weight * (torch.nn.functional.softplus(z) - targets * z)).sum()

    for _ in range(_NEWTON_STEPS):
        p = torch.sigmoid(x @ b)
        gradient = x.T @ (weight * (p - targets))
        curvature = (x.T * (weight * p * (1 - p))) @ x
        step = torch.linalg.solve(curvature + _SMALL * torch.eye(2, dtype=torch.float64), gradient)
        while loss(b - step) > loss(b) + _SMALL and step.abs().max() > _SMALL:
            step = step / 2
        b = b - step
        if step.abs().max() < _SMALL:
            break
    return b


def with_prior(probability: Float[Tensor, "..."], *, old: float, new: float) -> Float[Tensor, "..."]:
    """Return the probability if the share of same pairs is ``new``, not ``old``: odds · new odds ÷ old odds.

    Raises:
        ProtocolError: if a prior is not between 0 and 1.

    >>> with_prior(torch.tensor([0.5]).double(), old=0.5, new=0.1).item()
    0.1
    """
    for prior in (old, new):
        if not 0 < prior < 1:
            raise ProtocolError(f"a prior must be between 0 and 1, both excluded, got {prior}")
    times = new / (1 - new) * (1 - old) / old
    return probability * times / (probability * times + 1 - probability)


class Reliability(NamedTuple):
    """The bins of pairs by their probability, ascending, without empty ones."""

    probability: Float[Tensor, " b"]
    """The mean probability of each bin."""
    share: Float[Tensor, " b"]
    """The share of label 1 in each bin."""
    mass: Float[Tensor, " b"]
    """The weight of each bin; they sum to 1."""
    pairs: Float[Tensor, " b"]
    """The number of pairs in each bin, whatever their weight."""

    @property
    def error(self) -> float:
        """The expected calibration error: Σ mass · |probability − share|."""
        return (self.mass * (self.probability - self.share).abs()).sum().item()


def reliability(
    probabilities: Float[Tensor, " n"],
    labels: Float[Tensor, " n"],
    counts: Float[Tensor, " n"] | None = None,
    *,
    weights: Float[Tensor, " n"] | None = None,
    bins: int = BINS,
) -> Reliability:
    """Compare predicted probabilities with the shares of label 1, in bins.

    Bins have equal mass: pairs are sorted by probability, and the bin of one is that of the middle of its rank.
    Equal probabilities stay in one bin, which may then hold more than the others.

    Args:
        counts: number of pairs that each stands for.
        weights: weight of each in the means; by default its count.
    """
    values, group = probabilities.double().unique(return_inverse=True)
    counts = torch.ones_like(probabilities, dtype=torch.float64) if counts is None else counts.double()
    weights = counts if weights is None else weights.double()
    sides = torch.stack([weights, weights * labels.double()]) / weights.sum()
    mass, hits, pairs = torch.zeros(3, len(values), dtype=torch.float64).index_add(
        1, group, torch.cat([sides, counts[None]])
    )
    place = ((mass.cumsum(0) - mass / 2) * bins).long().clamp_max(bins - 1)
    rows = torch.stack([mass, mass * values, hits, pairs])
    sums = torch.zeros(4, bins, dtype=torch.float64).index_add(1, place, rows)
    sums = sums[:, sums[0] > 0]
    return Reliability(sums[1] / sums[0], sums[2] / sums[0], sums[0], sums[3])


def expected_calibration_error(
    probabilities: Float[Tensor, " n"],
    labels: Float[Tensor, " n"],
    counts: Float[Tensor, " n"] | None = None,
    *,
    bins: int = BINS,
) -> float:
    """Return the sum, over the bins of :func:`reliability`, of mass · |mean probability − share of label 1|, in [0, 1].

    >>> round(expected_calibration_error(torch.tensor([0.2, 0.2, 0.8, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0])), 4)
    0.2
    """
    return reliability(probabilities, labels, counts, bins=bins).error


def reliability_of(
    curve: Curve, pairs: Pairs, *, prior: float, balanced: bool = False, bins: int = BINS
) -> Reliability:
    """Return the reliability, on other pairs, of a curve that was fitted where the share of same pairs was ``prior``.

    Args:
        balanced: weigh same and different pairs equally, with probabilities for the prior ½. Unweighted pairs are
            nearly all of different people, and nearly all obviously so: a constant 0 would have a small error.
    """
    distances, labels, counts = labeled_pairs(pairs)
    probabilities, weights = curve(distances), counts
    if balanced:
        weights = torch.where(labels > 0, 0.5 / len(pairs.same), counts * 0.5 / pairs.counts.sum())
        probabilities = with_prior(probabilities, old=prior, new=0.5)
    return reliability(probabilities, labels, counts, weights=weights, bins=bins)


def calibration_error(curve: Curve, pairs: Pairs, *, prior: float, balanced: bool = False, bins: int = BINS) -> float:
    """Return the expected calibration error of :func:`reliability_of`."""
    return reliability_of(curve, pairs, prior=prior, balanced=balanced, bins=bins).error


def labeled_pairs(pairs: Pairs) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return distances, labels (1 for the same person, 0 for different people) and how many pairs each stands for."""
    ones = torch.ones_like(pairs.same)
    labels = torch.cat([ones, torch.zeros_like(pairs.different)])
    return torch.cat([pairs.same, pairs.different]), labels, torch.cat([ones, pairs.counts])


def _targets(pairs: Pairs) -> tuple[float, float]:
    """Return Platt's targets in place of 0 and 1."""
    return 1 / (pairs.total + 2), (len(pairs.same) + 1) / (len(pairs.same) + 2)
