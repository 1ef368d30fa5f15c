"""The rate of false matches of a calibration where it was not fitted: estimate, interval, decision, further margin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from passerby.metrics.calibration import SAME_AT, Calibration
from passerby.metrics.false_matches import ENOUGH, PairSample, false_matches, stricter, wilson_interval
from passerby.metrics.probability import Sigmoid
from passerby.metrics.verification import CalibrationQuality, Threshold, ThresholdQuality
from passerby.types import Protocol

RATES = ((1e-2, 0.5, 0.9), (1e-3, 0.4, 0.8), (1e-4, 0.3, 0.5))
"""The rates with thresholds and true-positive rates."""
CERTAIN = Sigmoid(0.0, 5.0)
"""A curve by which every pair is nearly certain, so that thresholds alone decide."""


def calibration(**changed: object) -> Calibration:
    at = tuple(ThresholdQuality(rate, distance, rate, tpr) for rate, distance, tpr in RATES)
    quality = CalibrationQuality(10, 10, 0.0, 0.0, at)
    thresholds = tuple(Threshold(rate, distance) for rate, distance, _ in RATES)
    made = Calibration(CERTAIN, thresholds, 100, 9900, Protocol(), "f", "d", "c", 0, quality)
    return replace(made, **changed)  # type: ignore[arg-type]


def sample(distances: Tensor, kind: str = "people", same: float = 0.0) -> PairSample:
    """Return independent pairs."""
    return PairSample(kind, distances.double(), torch.arange(2 * len(distances)).reshape(-1, 2), same)  # type: ignore[arg-type]


def distances(n: int, below_strict: int, below: int) -> Tensor:
    """Return n distances: some below the threshold of 1e-4, some between it and that of 1e-3, the rest far away."""
    return torch.tensor([0.2] * below_strict + [0.35] * below + [1.0] * (n - below_strict - below))


def test_of_different_people_the_share_is_the_rate() -> None:
    found = false_matches(calibration(), sample(distances(20_000, 2, 12)))
    assert (found.rate, found.pairs, found.same) == (14 / 20_000, 20_000, 0.0)
    assert found.state == "holds"
    assert found.interval == pytest.approx(wilson_interval(14 / 20_000, 20_000))
    assert false_matches(calibration(), sample(distances(20_000, 2, 70))).state == "withheld"
    assert false_matches(calibration(margin=0.3), sample(distances(20_000, 2, 70))).rate == 0.0


@pytest.mark.parametrize(
    ("n", "below", "state"),
    [(ENOUGH, 9, "holds"), (ENOUGH - 1, 0, "unknown"), (100, 1, "unknown"), (100, 20, "withheld")],
)
def test_few_pairs_tell_gross_failures_only(n: int, below: int, state: str) -> None:
    assert false_matches(calibration(), sample(distances(n, 0, below))).state == state


def test_of_random_pairs_some_are_taken_to_be_of_one_person() -> None:
    pairs = distances(100_000, 310, 290)  # 0.6 % are possible, 0.3 % below the threshold of 1e-4
    same = (0.0031 - 1e-4) * 0.65 / 0.5  # the true-positive rate at 0.35 is 0.65, between 0.5 at 0.3 and 0.8 at 0.4
    found = false_matches(calibration(), sample(pairs, "random", 0.1))
    assert found.same == pytest.approx(same)
    assert found.rate == pytest.approx((0.006 - same) / (1 - same))
    assert found.state == "holds"
    bounded = false_matches(calibration(), sample(pairs, "random", 0.001))
    assert (bounded.same, bounded.state) == (0.001, "withheld")
    alone = false_matches(calibration(), replace(sample(pairs, "random", 0.1), partners=0.5))
    assert alone.same == pytest.approx(0.003)  # of 1,200 images in a possible pair, half a partner each
    unmeasured = calibration(held_out=CalibrationQuality(10, 10, 0.0, 0.0, ()))
    assert false_matches(unmeasured, sample(pairs, "random", 0.1)).same == 0.0


def test_where_a_few_images_make_most_false_matches_doubt_suffices() -> None:
    first, second = torch.triu_indices(120, 120, 1)
    near = torch.where((first < 2) & (second < 10), 0.35, 1.0)
    found = false_matches(calibration(), PairSample("people", near.double(), torch.stack([first, second], 1)))
    assert found.rate < 3 * SAME_AT < found.interval[1]
    assert found.independent < ENOUGH < found.pairs
    assert found.state == "withheld"


def test_a_lower_share_of_same_pairs_makes_verdicts_stricter() -> None:
    doubtful = calibration(curve=Sigmoid(10.0, 3.5))  # one half at 0.35
    pairs = sample(torch.linspace(0, 1, 10_001))
    assert false_matches(doubtful, pairs).share == pytest.approx(0.35, abs=1e-3)
    rare = false_matches(doubtful, pairs, prior=0.001)
    assert rare.share < 0.2
    assert doubtful.possible(torch.tensor([0.3]), prior=0.5).all()
    assert [doubtful.verdict(0.3, prior=p)[1] for p in (None, 0.001)] == ["possible", "unsure"]
    assert doubtful.verdict(0.3, prior=doubtful.prior)[0] == pytest.approx(doubtful.verdict(0.3)[0])


def test_a_further_margin_brings_the_rate_down_to_the_stated_one() -> None:
    draw = torch.Generator().manual_seed(0)
    pairs = sample(0.2 + torch.rand(100_000, generator=draw) * 100)  # 0.2 % below 0.4
    known = calibration()
    assert false_matches(known, pairs).rate > SAME_AT
    kept = stricter(known, pairs)
    assert false_matches(kept, pairs).interval[1] <= SAME_AT
    assert false_matches(replace(kept, margin=kept.margin - 0.003), pairs).interval[1] > SAME_AT
    assert stricter(kept, pairs) is kept
    assert stricter(known, replace(pairs, same=1e-9)).margin > kept.margin  # random pairs hide some


def test_the_interval_is_wilsons() -> None:
    for found, n in ((0, 50), (3, 1000), (50, 50)):
        expected = binomtest(found, n).proportion_ci(0.95, method="wilson")
        assert wilson_interval(found / n, n) == pytest.approx((expected.low, expected.high))


def test_pairs_that_share_images_tell_less() -> None:
    draw = torch.Generator().manual_seed(1)
    n, shares, errors = 120, [], []
    first, second = torch.triu_indices(n, n, 1)
    for _ in range(200):
        look = torch.randn(n, generator=draw)  # images that look alike are near to each other
        near = torch.where((look[first] > 1) & (look[second] > 1), 0.35, 1.0)
        found = false_matches(calibration(), PairSample("people", near.double(), torch.stack([first, second], 1)))
        shares.append(found.share)
        errors.append((found.share * (1 - found.share) / found.independent) ** 0.5)
    spread = torch.tensor(shares).std().item()
    assert torch.tensor(errors).mean().item() == pytest.approx(spread, rel=0.2)
    assert found.independent < found.pairs / 10
