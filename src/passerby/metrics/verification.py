"""Is it the same person? Thresholds on distances, made from some pairs and measured on others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from passerby.metrics.open_set import (
    RATES,
    Pairs,
    equal_error_rate,
    false_match_rate,
    supports,
    threshold_at,
    true_positive_rate,
    true_positive_rate_at,
)
from passerby.metrics.probability import Curve, calibration_error


@dataclass(frozen=True, slots=True)
class Threshold:
    """A pair is accepted where it is nearer than this."""

    rate: float
    """The false-match rate it was made for."""
    distance: float | None
    """``None`` where there were too few different pairs to know."""


@dataclass(frozen=True, slots=True)
class ThresholdQuality:
    """What a threshold comes to on other pairs than those that made it."""

    rate: float
    distance: float | None
    false_match_rate: float | None
    true_positive_rate: float | None


@dataclass(frozen=True, slots=True)
class CalibrationQuality:
    """How well a calibration holds on some pairs."""

    same: int
    different: int
    ece: float
    """Expected calibration error, of pairs as they occur."""
    ece_balanced: float
    """The same where same and different pairs weigh alike (:func:`~passerby.metrics.probability.calibration_error`)."""
    at: tuple[ThresholdQuality, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"at": [asdict(each) for each in self.at]}


def fit_thresholds(pairs: Pairs) -> tuple[Threshold, ...]:
    """At the customary false-match rates, where there are pairs enough."""
    return tuple(Threshold(rate, threshold_at(pairs, rate) if supports(pairs, rate) else None) for rate in RATES)


def measure(curve: Curve, thresholds: tuple[Threshold, ...], prior: float, pairs: Pairs) -> CalibrationQuality:
    """How a curve, fitted where the share of same pairs was ``prior``, and thresholds hold on other pairs."""
    return CalibrationQuality(
        len(pairs.same),
        pairs.total,
        calibration_error(curve, pairs, prior=prior),
        calibration_error(curve, pairs, prior=prior, balanced=True),
        tuple(_at(threshold, pairs) for threshold in thresholds),
    )


def _at(threshold: Threshold, pairs: Pairs) -> ThresholdQuality:
    if threshold.distance is None:
        return ThresholdQuality(threshold.rate, None, None, None)
    place = torch.tensor([threshold.distance], dtype=torch.float64)
    rates = false_match_rate(pairs, place).item(), true_positive_rate(pairs, place).item()
    return ThresholdQuality(threshold.rate, threshold.distance, *rates)


def open_set_metrics(pairs: Pairs) -> dict[str, Any]:
    """Plain values for JSON: how far same and different pairs lie apart. A rate that too few pairs support has none."""
    found = {f"{rate:g}": true_positive_rate_at(pairs, rate) if supports(pairs, rate) else None for rate in RATES}
    return {
        "same_pairs": len(pairs.same),
        "different_pairs": pairs.total,
        "equal_error_rate": equal_error_rate(pairs),
        "true_positive_rate_at_false_match_rate": found,
    }
