"""The open-set metrics, from the distances of pairs of the same and of different people.

A pair is accepted if its distance is *below* a threshold. The false-match rate is the share of different pairs that
are accepted, the true-positive rate that of same pairs. All values are exact in the distances, ties included, without
binning. A different pair may stand for several (see :mod:`passerby.metrics.pairs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ProtocolError

RATES = (1e-2, 1e-3, 1e-4)
"""The false-match rates at which results are reported."""
PAIRS_AT_A_RATE = 10
"""The number of different pairs expected below a threshold that suffices to measure it."""
_ROUNDING = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distances of pairs, float64, ascending."""

    same: Float[Tensor, " m"]
    """The distances of pairs of the same person."""
    different: Float[Tensor, " n"]
    """The distances of pairs of different people."""
    counts: Float[Tensor, " n"]
    """The number of different pairs that each of these stands for."""

    @classmethod
    def from_distances(cls, same: Tensor, different: Tensor, counts: Tensor | None = None) -> Pairs:
        """Build from distances in any order; without ``counts`` each stands for itself.

        Raises:
            ProtocolError: if a distance is not finite, or there are no same or no different pairs.
        """
        for name, distances in (("same", same), ("different", different)):
            if not len(distances):
                raise ProtocolError(
                    "there are no pairs of the same person. Fix: give several people, each with more than one image by "
                    "several cameras"
                    if name == "same"
                    else "there are no pairs of different people. Fix: give more than one person"
                )
            if bad := int((~distances.isfinite()).sum()):
                raise ProtocolError(
                    f"{bad} of {len(distances)} distances of {name} pairs are not finite. Fix: check the embeddings"
                )
        ascending, order = different.double().sort()
        counts = torch.ones_like(ascending) if counts is None else counts.double()[order]
        return cls(same.double().sort().values, ascending, counts)

    @property
    def total(self) -> int:
        """The number of different pairs."""
        return round(self.counts.sum().item())

    @property
    def prior(self) -> float:
        """The share of same pairs among all pairs."""
        return len(self.same) / (len(self.same) + self.total)


class Roc(NamedTuple):
    """The receiver operating characteristic: a point for each threshold that changes a rate, ascending."""

    thresholds: Float[Tensor, " k"]
    """The thresholds; the last is infinite and accepts every pair."""
    false_match_rate: Float[Tensor, " k"]
    true_positive_rate: Float[Tensor, " k"]


def true_positive_rate(pairs: Pairs, thresholds: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the share of same pairs below each threshold."""
    return torch.searchsorted(pairs.same, thresholds.contiguous()).double() / len(pairs.same)


def false_match_rate(pairs: Pairs, thresholds: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the share of different pairs below each threshold.

    >>> pairs = Pairs.from_distances(torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.2, 0.4, 0.5]))
    >>> false_match_rate(pairs, torch.tensor([0.2, 0.3, 9.0]).double()).tolist()
    [0.0, 0.25, 1.0]
    """
    until = torch.cat([torch.zeros(1, dtype=torch.float64), pairs.counts.cumsum(0)])
    return until[torch.searchsorted(pairs.different, thresholds.contiguous())] / until[-1]


def roc(pairs: Pairs) -> Roc:
    """Return the ROC from (0, 0) to (1, 1)."""
    values = torch.cat([pairs.same, pairs.different]).unique()
    thresholds = torch.cat([values, values.new_full((1,), torch.inf)])
    return Roc(thresholds, false_match_rate(pairs, thresholds), true_positive_rate(pairs, thresholds))


def supports(pairs: Pairs, rate: float) -> bool:
    """Tell if there are enough different pairs to measure the threshold of a false-match rate."""
    return pairs.total * rate * _ROUNDING >= PAIRS_AT_A_RATE


def threshold_at(pairs: Pairs, rate: float) -> float:
    """Return the largest distance below which at most ``rate`` of the different pairs lie; infinite if all may.

    Raises:
        ProtocolError: if the rate is not in [0, 1].

    >>> pairs = Pairs.from_distances(torch.tensor([0.1]), torch.tensor([0.3, 0.2, 0.4, 0.4]))
    >>> [round(threshold_at(pairs, rate), 4) for rate in (0.0, 0.25, 0.5, 0.75)]
    [0.2, 0.3, 0.4, 0.4]
    """
    if not 0 <= rate <= 1:
        raise ProtocolError(f"a false-match rate must be between 0 and 1, got {rate}")
    until = pairs.counts.cumsum(0)
    over = (until > rate * until[-1] * _ROUNDING).nonzero()
    return pairs.different[over[0]].item() if len(over) else float("inf")


def true_positive_rate_at(pairs: Pairs, rate: float) -> float:
    """Return the true-positive rate at the threshold of a false-match rate: the best that the rate allows."""
    return true_positive_rate(pairs, torch.tensor([threshold_at(pairs, rate)], dtype=torch.float64)).item()


def equal_error_rate(pairs: Pairs) -> float:
    """Return the rate at which as many different pairs are accepted as same ones rejected, interpolated on the ROC.

    >>> equal_error_rate(Pairs.from_distances(torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4])))
    0.0
    >>> equal_error_rate(Pairs.from_distances(torch.tensor([0.5, 0.5]), torch.tensor([0.5])))
    0.5
    """
    _, accepted, found = roc(pairs)
    rejected = 1 - found
    after = int((accepted >= rejected).nonzero()[0])
    if after == 0:
        return accepted[0].item()
    gap = (rejected - accepted)[after - 1 : after + 1]
    share = (gap[0] / (gap[0] - gap[1])).item()
    return (accepted[after - 1] + share * (accepted[after] - accepted[after - 1])).item()


class Histogram(NamedTuple):
    """The histograms of distances, in bins of equal width; the shares of each kind of pair sum to 1."""

    edges: Float[Tensor, " b"]
    """The edges, one more than bins; a bin includes its lower edge, the last one both."""
    same: Float[Tensor, " a"]
    different: Float[Tensor, " a"]


def histogram(pairs: Pairs, *, bins: int = 60) -> Histogram:
    """Return the shares of same and of different pairs by distance, from the smallest to the largest.

    >>> histogram(Pairs.from_distances(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 4.0, 4.0])), bins=2).same.tolist()
    [1.0, 0.0]
    """
    low, high = (torch.stack([side[place] for side in (pairs.same, pairs.different)]) for place in (0, -1))
    edges = torch.linspace(low.min().item(), high.max().item(), bins + 1, dtype=torch.float64)
    places = [
        (torch.searchsorted(edges, side, right=True) - 1).clamp(0, bins - 1) for side in (pairs.same, pairs.different)
    ]
    zeros = torch.zeros(bins, dtype=torch.float64)
    same = zeros.index_add(0, places[0], torch.ones_like(pairs.same)) / len(pairs.same)
    return Histogram(edges, same, zeros.index_add(0, places[1], pairs.counts) / pairs.counts.sum())
