"""The metrics of ranks, by hand and by property."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passerby.metrics.functional import (
    APKind,
    average_precision,
    bootstrap_intervals,
    cmc,
    inverse_negative_penalty,
    precision_recall,
)

RANKS = st.lists(st.sets(st.integers(1, 40), min_size=1, max_size=8).map(sorted), min_size=1, max_size=6)


def flat(queries: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([r for q in queries for r in q]), torch.tensor([len(q) for q in queries])


@pytest.mark.parametrize(
    ("ranks", "step", "trapezoid", "inp"),
    [
        ([1], 1.0, 1.0, 1.0),
        ([2, 4], 0.5, 1 / 3, 0.5),
        ([1, 2, 3], 1.0, 1.0, 1.0),
        ([1, 3], 5 / 6, (1 + 7 / 12) / 2, 2 / 3),
        ([5], 0.2, 0.1, 0.2),
    ],
)
def test_by_hand(ranks: list[int], step: float, trapezoid: float, inp: float) -> None:
    assert average_precision(*flat([ranks]), "step").item() == pytest.approx(step, abs=1e-15)
    assert average_precision(*flat([ranks]), "trapezoid").item() == pytest.approx(trapezoid, abs=1e-15)
    assert inverse_negative_penalty(*flat([ranks])).item() == pytest.approx(inp, abs=1e-15)


def market_ap(ranks: list[int]) -> float:
    """Return the area under precision over recall by trapezoids, rank by rank as in the original evaluation."""
    area, old_recall, old_precision, hits = 0.0, 0.0, 1.0, 0
    for place in range(1, max(ranks) + 1):
        hits += place in ranks
        recall, precision = hits / len(ranks), hits / place
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return area


@given(RANKS)
def test_trapezoid_is_the_area_of_the_original_code(queries: list[list[int]]) -> None:
    found = average_precision(*flat(queries), "trapezoid")
    assert found.tolist() == pytest.approx([market_ap(q) for q in queries], abs=1e-12)


@given(RANKS)
def test_step_is_the_mean_precision_at_the_hits(queries: list[list[int]]) -> None:
    expected = [sum((i + 1) / r for i, r in enumerate(q)) / len(q) for q in queries]
    assert average_precision(*flat(queries)).tolist() == pytest.approx(expected, abs=1e-12)


@given(RANKS, st.sampled_from([1, 3, 10, 100]))
def test_interpolated_precision_is_the_highest_at_no_less_recall(queries: list[list[int]], steps: int) -> None:
    recalls, found = precision_recall(*flat(queries), steps=steps)
    assert recalls.tolist() == [j / steps for j in range(steps + 1)]
    for j, value in enumerate(found.tolist()):
        highest = [max(i / r for i, r in enumerate(q, 1) if i * steps >= j * len(q)) for q in queries]
        assert value == pytest.approx(sum(highest) / len(queries), abs=1e-12)


@given(RANKS, st.integers(1, 60))
def test_cmc_is_the_share_of_first_matches_and_never_falls(queries: list[list[int]], max_rank: int) -> None:
    found = cmc(*flat(queries), max_rank)
    expected = [sum(q[0] <= k for q in queries) / len(queries) for k in range(1, max_rank + 1)]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert (found.diff() >= 0).all()


@given(RANKS)
def test_all_values_are_float64_in_the_unit_interval(queries: list[list[int]]) -> None:
    kinds: tuple[APKind, ...] = ("step", "trapezoid")
    values = [*(average_precision(*flat(queries), kind) for kind in kinds), inverse_negative_penalty(*flat(queries))]
    for value in values:
        assert value.dtype == torch.float64
        assert value.min() > 0
        assert value.max() <= 1


def test_bootstrap_intervals_cover_the_mean_at_their_level() -> None:
    generator = torch.Generator().manual_seed(0)
    truth, covered = 0.3, 0
    for seed in range(100):
        sample = (torch.rand(1, 80, generator=generator) < truth).double()
        (low, high), *_ = bootstrap_intervals(sample, draws=300, seed=seed).tolist()
        covered += low <= truth <= high
    assert 88 <= covered <= 99


def test_bootstrap_intervals_depend_on_the_seed_and_on_each_row_alone() -> None:
    values = torch.stack([torch.arange(50).double(), torch.ones(50).double()])
    ends = bootstrap_intervals(values)
    assert torch.equal(ends, bootstrap_intervals(values))
    assert not torch.equal(ends, bootstrap_intervals(values, seed=1))
    assert ends[1].tolist() == [1, 1]
    half = 1.96 * values[0].std().item() / 50**0.5
    assert ends[0].tolist() == pytest.approx([24.5 - half, 24.5 + half], abs=0.6)


def test_groups_are_drawn_as_a_whole() -> None:
    values = torch.rand(2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alone = bootstrap_intervals(values)
    assert torch.equal(bootstrap_intervals(values, groups=torch.arange(12) * 7), alone)
    again, groups = values.repeat_interleave(30, dim=1), torch.arange(12).repeat_interleave(30)
    assert torch.allclose(bootstrap_intervals(again, groups=groups), alone)  # copies add no information
    narrow = bootstrap_intervals(again)
    assert (narrow[:, 1] - narrow[:, 0] < 0.3 * (alone[:, 1] - alone[:, 0])).all()


def test_groups_of_different_sizes_weigh_as_many_columns() -> None:
    values, groups = torch.tensor([[1.0, 1.0, 1.0, 0.0]]), torch.tensor([5, 5, 5, 2])
    low, high = bootstrap_intervals(values, groups=groups, level=0.4).tolist()[0]
    assert (low, high) == pytest.approx((0.5, 1), abs=0.26)  # of draws: 0 (a quarter), 3/4 (half), 1 (a quarter)
    assert bootstrap_intervals(values, groups=groups, level=0.02).tolist()[0] == pytest.approx([0.75, 0.75])
