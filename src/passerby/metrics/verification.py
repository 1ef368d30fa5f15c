"""The verification of pairs: thresholds on distances, fitted to some pairs and measured on others."""

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
    """A distance below which a pair is accepted."""

    rate: float
    """The false-match rate that it was fitted for."""
    distance: float | None
    """The distance; ``None`` if there were too few different pairs."""


@dataclass(frozen=True, slots=True)
class ThresholdQuality:
    """The rates of a threshold on pairs that it was not fitted to."""

    rate: float
    distance: float | None
    false_match_rate: float | None
    true_positive_rate: float | None


@dataclass(frozen=True, slots=True)
class CalibrationQuality:
    """The quality of a calibration on some pairs."""

    same: int
    different: int
    ece: float
    """The expected calibration error, of pairs weighted as they occur."""
    ece_balanced: float
    """The same with equal weight of same and different pairs (:func:`~passerby.metrics.probability.reliability_of`)."""
    at: tuple[ThresholdQuality, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"at": [asdict(each) for each in self.at]}


def fit_thresholds(pairs: Pairs) -> tuple[Threshold, ...]:
    """Fit thresholds at the usual false-match rates, where there are enough pairs."""
    return tuple(Threshold(rate, threshold_at(pairs, rate) if supports(pairs, rate) else None) for rate in RATES)


def measure(curve: Curve, thresholds: tuple[Threshold, ...], prior: float, pairs: Pairs) -> CalibrationQuality:
    """Measure, on other pairs, thresholds and a curve fitted where the share of same pairs was ``prior``."""
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
    distance = torch.tensor([threshold.distance], dtype=torch.float64)
    rates = false_match_rate(pairs, distance).item(), true_positive_rate(pairs, distance).item()
    return ThresholdQuality(threshold.rate, threshold.distance, *rates)


def open_set_metrics(pairs: Pairs) -> dict[str, Any]:
    """Return plain values for JSON: how well distances separate pairs. A rate with too few pairs has ``None``."""
    found = {f"{rate:g}": true_positive_rate_at(pairs, rate) if supports(pairs, rate) else None for rate in RATES}
    return {
        "same_pairs": len(pairs.same),
        "different_pairs": pairs.total,
        "equal_error_rate": equal_error_rate(pairs),
        "true_positive_rate_at_false_match_rate": found,
    }
