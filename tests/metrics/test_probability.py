"""The probabilities of distances against literal formulas, and properties of each."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from passerby.errors import ProtocolError, UnknownNameError
from passerby.metrics.open_set import Pairs
from passerby.metrics.probability import (
    Sigmoid,
    Steps,
    calibration_error,
    expected_calibration_error,
    fit,
    isotonic,
    logistic,
    reliability,
    reliability_of,
    with_prior,
)

DISTANCES = st.lists(st.integers(0, 9), min_size=1, max_size=10)
PLACES = torch.linspace(-1, 10, 45).double()


def pairs(same: list[int], different: list[int], counts: list[int] | None = None) -> Pairs:
    return Pairs.from_distances(
        torch.tensor(same), torch.tensor(different), None if counts is None else torch.tensor(counts)
    )


def minimax(same: list[int], different: list[int]) -> dict[int, float]:
    """Return isotonic regression by its minimax formula: the least mean to the left of the greatest to the right."""
    places = sorted({*same, *different})

    def mean(first: int, last: int) -> float:
        hits, all_ = (sum(first <= d <= last for d in some) for some in (same, same + different))
        return hits / all_

    return {
        d: min(max(mean(first, last) for last in places if last >= d) for first in places if first <= d) for d in places
    }


@given(DISTANCES, DISTANCES)
def test_isotonic_is_its_minimax_formula(same: list[int], different: list[int]) -> None:
    found = isotonic(pairs(same, different))
    low, high = 1 / (len(different) + 2), (len(same) + 1) / (len(same) + 2)
    expected = {d: min(max(p, low), high) for d, p in minimax(same, different).items()}
    assert found(torch.tensor(list(expected)).double()).tolist() == pytest.approx(list(expected.values()), abs=1e-12)


@given(DISTANCES, DISTANCES, st.sampled_from(["isotonic", "logistic"]))
def test_a_smaller_distance_is_never_less_probable(same: list[int], different: list[int], method: str) -> None:
    values = fit(pairs(same, different), method)(PLACES)  # type: ignore[arg-type]
    assert (values.diff() <= 1e-15).all()
    assert values.min() > 0
    assert values.max() < 1


def test_steps_include_their_upper_edges() -> None:
    found = isotonic(pairs([1, 1, 1, 3], [2, 3, 5, 5]))
    assert found.edges == (1.0, 3.0)
    assert found.probabilities == pytest.approx((5 / 6, 1 / 3, 1 / 6))
    assert found(torch.tensor([0.0, 1.0, 1.01, 3.0, 3.01])).tolist() == pytest.approx(
        [5 / 6, 5 / 6, 1 / 3, 1 / 3, 1 / 6]
    )


@pytest.mark.parametrize(
    ("same", "different"),
    [([0, 1, 1, 3, 4], [2, 3, 5, 5, 6, 7, 8, 9]), ([1], [2, 3]), ([0, 0, 1], [800, 900]), ([5, 6, 7], [6])],
)
def test_logistic_is_the_maximum_of_its_likelihood(same: list[int], different: list[int]) -> None:
    found = logistic(pairs(same, different))
    scale = max(same + different)
    targets = [(len(same) + 1) / (len(same) + 2)] * len(same) + [1 / (len(different) + 2)] * len(different)

    def loss(b: np.ndarray) -> float:
        z = [b[1] - b[0] * d / scale for d in same + different]
        return sum(math.log1p(math.exp(-abs(v))) + max(v, 0) - t * v for v, t in zip(z, targets, strict=True))

    best = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(0, None), (None, None)], tol=1e-14)
    assert loss(np.array([found.slope * scale, found.intercept])) == pytest.approx(best.fun, abs=1e-8)


def test_logistic_is_constant_if_different_pairs_are_nearer() -> None:
    found = logistic(pairs([5, 6], [1, 2]))
    assert found.slope == 0
    assert found(torch.zeros(1)).item() == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert logistic(pairs([3], [3, 3])).slope == 0


@given(DISTANCES, DISTANCES, st.lists(st.integers(1, 4), min_size=10, max_size=10))
def test_a_pair_counts_as_often_as_it_stands_for(same: list[int], different: list[int], counts: list[int]) -> None:
    short = pairs(same, different, counts[: len(different)])
    long = pairs(same, [d for d, n in zip(different, counts, strict=False) for _ in range(n)])
    for method in (isotonic, logistic):
        assert torch.allclose(method(short)(PLACES), method(long)(PLACES), atol=1e-7)
    curve = Sigmoid(1.0, 4.0)
    for balanced in (False, True):
        one, other = (calibration_error(curve, p, prior=0.3, balanced=balanced) for p in (short, long))
        assert one == pytest.approx(other, abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 64)), min_size=12, max_size=12, unique_by=lambda pair: pair[1])
)
def test_the_calibration_error_is_its_formula(drawn: list[tuple[int, int]]) -> None:
    ordered = sorted(((label, p / 64) for label, p in drawn), key=lambda pair: pair[1])
    labels, probabilities = (torch.tensor([pair[i] for pair in ordered]).double() for i in (0, 1))
    bins = [ordered[i : i + 3] for i in range(0, 12, 3)]
    expected = sum(abs(sum(p for _, p in b) / 3 - sum(y for y, _ in b) / 3) * 3 / 12 for b in bins)
    assert expected_calibration_error(probabilities, labels, bins=4) == pytest.approx(expected, abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=12),
    st.integers(1, 5),
)
def test_reliability_equals_counting(drawn: list[tuple[int, int, int]], bins: int) -> None:
    """With few distinct probabilities many are equal, and the middle of their ranks decides their bin."""
    labels, places, counts = (torch.tensor([row[i] for row in drawn]).double() for i in range(3))
    total, before, expected = sum(n for *_, n in drawn), 0, {}
    for value in sorted({p for _, p, _ in drawn}):
        rows = [(label, n) for label, p, n in drawn if p == value]
        mass = sum(n for _, n in rows)
        assume((2 * before + mass) * bins % (2 * total) != 0)  # on an edge rounding decides
        place = min(bins - 1, (2 * before + mass) * bins // (2 * total))
        old = expected.get(place, (0, 0, 0))
        hits = sum(n for label, n in rows if label)
        expected[place] = (old[0] + mass, old[1] + mass * value / 4, old[2] + hits)
        before += mass
    found = reliability(places / 4, labels, counts, bins=bins)
    assert found.pairs.tolist() == [mass for mass, *_ in expected.values()]
    assert found.mass.tolist() == pytest.approx([mass / total for mass, *_ in expected.values()])
    assert found.probability.tolist() == pytest.approx([sum_ / mass for mass, sum_, _ in expected.values()])
    assert found.share.tolist() == pytest.approx([hits / mass for mass, _, hits in expected.values()])


def test_balance_weighs_pairs_and_counts_them_all_the_same() -> None:
    some = pairs([0, 1, 1], [1, 2, 2, 2], [3, 4, 4, 4])
    curve = Steps((0.5, 1.5), (0.9, 0.5, 0.1))
    plain, balanced = (reliability_of(curve, some, prior=0.5, balanced=b, bins=99) for b in (False, True))
    assert plain.pairs.tolist() == balanced.pairs.tolist() == [12, 5, 1]
    assert plain.share.tolist() == pytest.approx([0, 2 / 5, 1])
    assert balanced.share.tolist() == pytest.approx([0, (2 / 3) / (2 / 3 + 3 / 15), 1])
    assert balanced.error == pytest.approx(calibration_error(curve, some, prior=0.5, balanced=True, bins=99))


def test_equal_probabilities_share_a_bin() -> None:
    labels = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0])
    assert expected_calibration_error(torch.full((8,), 3 / 8), labels) == 0
    assert expected_calibration_error(torch.full((8,), 0.5), labels) == pytest.approx(1 / 8)


def test_balance_shows_the_error_of_a_constant_0() -> None:
    """A constant 0 is nearly right for pairs as they occur."""
    some = Pairs.from_distances(torch.zeros(10), torch.ones(9990))
    never = Steps((), (1e-9,))
    assert calibration_error(never, some, prior=some.prior) < 2e-3
    assert calibration_error(never, some, prior=some.prior, balanced=True) == pytest.approx(0.5, abs=1e-3)


def test_another_prior() -> None:
    """The likelihoods stay and the prior changes (Bayes)."""
    same, different = 0.8, 0.1
    for new in (0.5, 0.001):
        old = 0.2 * same / (0.2 * same + 0.8 * different)
        expected = new * same / (new * same + (1 - new) * different)
        assert with_prior(torch.tensor([old], dtype=torch.float64), old=0.2, new=new).item() == pytest.approx(
            expected, abs=1e-12
        )
    with pytest.raises(ProtocolError, match="a prior must be between 0 and 1"):
        with_prior(torch.ones(1).double(), old=0.2, new=0.0)


def test_an_unknown_method_raises() -> None:
    from jaxtyping import TypeCheckError

    with pytest.raises((UnknownNameError, TypeCheckError), match="isotnic"):
        fit(pairs([1], [2]), "isotnic")  # type: ignore[arg-type]
