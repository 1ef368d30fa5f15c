"""The open-set metrics against loops over all pairs, and pairs in blocks against a list of all pairs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.metrics.open_set import (
    RATES,
    Pairs,
    equal_error_rate,
    false_match_rate,
    histogram,
    roc,
    supports,
    threshold_at,
    true_positive_rate,
    true_positive_rate_at,
)
from passerby.metrics.pairs import pair_distances
from passerby.metrics.verification import open_set_metrics
from passerby.types import Embeddings, Protocol, Rerank, Role

DISTANCES = st.lists(st.integers(0, 9), min_size=1, max_size=12)  # few values: ties


def pairs(same: list[int], different: list[int]) -> Pairs:
    return Pairs.from_distances(torch.tensor(same).float(), torch.tensor(different).float())


@given(DISTANCES, DISTANCES)
def test_the_roc_equals_counting(same: list[int], different: list[int]) -> None:
    found = roc(pairs(same, different))
    values = [*sorted({*same, *different}), math.inf]
    assert found.thresholds.tolist() == values
    assert found.false_match_rate.tolist() == [sum(d < t for d in different) / len(different) for t in values]
    assert found.true_positive_rate.tolist() == [sum(d < t for d in same) / len(same) for t in values]


@given(DISTANCES, DISTANCES, st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0]))
def test_the_rate_at_a_threshold_is_the_best_allowed(same: list[int], different: list[int], rate: float) -> None:
    some = pairs(same, different)
    allowed = [t for t in [*range(11), math.inf] if sum(d < t for d in different) <= rate * len(different) + 1e-9]
    assert true_positive_rate_at(some, rate) == max(sum(d < t for d in same) for t in allowed) / len(same)
    threshold = torch.tensor([threshold_at(some, rate)]).double()
    assert false_match_rate(some, threshold).item() <= rate + 1e-9


@given(DISTANCES, DISTANCES)
def test_the_equal_error_rate_lies_where_the_lines_cross(same: list[int], different: list[int]) -> None:
    points = [
        (sum(d < t for d in different) / len(different), 1 - sum(d < t for d in same) / len(same))
        for t in [*range(10), math.inf]
    ]
    crossings = []
    for (a, b), (c, d) in pairwise(points):
        if a <= b and c >= d and (c - a) + (b - d) > 0:
            share = (b - a) / ((c - a) + (b - d))
            crossings.append(a + share * (c - a))
    assert equal_error_rate(pairs(same, different)) == pytest.approx(crossings[0], abs=1e-12)


@given(DISTANCES, DISTANCES, st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_a_pair_may_stand_for_several(same: list[int], different: list[int], counts: list[int]) -> None:
    counts = counts[: len(different)]
    short = Pairs.from_distances(torch.tensor(same), torch.tensor(different), torch.tensor(counts))
    long = pairs(same, [d for d, n in zip(different, counts, strict=True) for _ in range(n)])
    assert (short.total, short.prior) == (long.total, long.prior)
    assert equal_error_rate(short) == pytest.approx(equal_error_rate(long))
    for rate in (0.1, 0.5):
        assert threshold_at(short, rate) == threshold_at(long, rate)


@given(DISTANCES, DISTANCES, st.lists(st.integers(1, 5), min_size=12, max_size=12), st.integers(1, 7))
def test_a_histogram_equals_counting(same: list[int], different: list[int], counts: list[int], bins: int) -> None:
    weights = counts[: len(different)]
    found = histogram(
        Pairs.from_distances(torch.tensor(same), torch.tensor(different), torch.tensor(weights)), bins=bins
    )
    edges = found.edges.tolist()
    assert (edges[0], edges[-1], len(edges)) == (min(same + different), max(same + different), bins + 1)

    def share(distances: list[int], each: list[int], place: int) -> float:
        last = place == bins - 1
        inside = [
            n for d, n in zip(distances, each, strict=True) if edges[place] <= d and (last or d < edges[place + 1])
        ]
        return sum(inside) / sum(each)

    if edges[0] < edges[-1]:
        assert found.same.tolist() == pytest.approx([share(same, [1] * len(same), i) for i in range(bins)])
        assert found.different.tolist() == pytest.approx([share(different, weights, i) for i in range(bins)])
    assert found.same.sum().item() == pytest.approx(1)
    assert found.different.sum().item() == pytest.approx(1)


def test_a_rate_needs_enough_pairs() -> None:
    few = Pairs.from_distances(torch.zeros(3), torch.rand(1000, generator=torch.Generator().manual_seed(0)))
    assert [supports(few, rate) for rate in RATES] == [True, False, False]
    found = open_set_metrics(few)["true_positive_rate_at_false_match_rate"]
    assert (found["0.01"], found["0.001"], found["0.0001"]) == (1.0, None, None)


def test_invalid_pairs_and_rates_raise() -> None:
    one, none = torch.ones(1), torch.ones(0)
    with pytest.raises(ProtocolError, match="no pairs of the same person"):
        Pairs.from_distances(none, one)
    with pytest.raises(ProtocolError, match="no pairs of different people"):
        Pairs.from_distances(one, none)
    with pytest.raises(ProtocolError, match="1 of 2 distances of different pairs are not finite"):
        Pairs.from_distances(one, torch.tensor([1.0, math.nan]))
    with pytest.raises(ProtocolError, match="between 0 and 1, got 2"):
        threshold_at(Pairs.from_distances(one, one), 2.0)


PEOPLE = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([Role.PERSON, Role.PERSON, *Role])), min_size=1
)


def side(people: list[tuple[int, int, Role]], seed: int) -> Embeddings:
    features = torch.randn(len(people), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pids, camids, roles = (torch.tensor([int(p[i]) for p in people]) for i in range(3))
    return Embeddings(features, ("",) * len(people), pids, camids, roles)


def literal(query: Embeddings, gallery: Embeddings, *, across: bool) -> tuple[list[float], list[float]]:
    same, different = [], []
    columns = [(e.pids.tolist(), e.camids.tolist(), e.roles.tolist()) for e in (query, gallery)]  # type: ignore[union-attr]
    for x, *q in zip(query.embedding, *columns[0], strict=True):
        for y, *g in zip(gallery.embedding, *columns[1], strict=True):
            if q[2] != Role.PERSON or g[2] == Role.JUNK:
                continue
            distance = (x / x.norm() - y / y.norm()).pow(2).sum().item()
            if q[0] != g[0] or g[2] == Role.DISTRACTOR:
                different.append(distance)
            elif not across or q[1] != g[1]:
                same.append(distance)
    return sorted(same), sorted(different)


@given(PEOPLE, PEOPLE, st.booleans(), st.integers(1, 2000))
def test_which_pairs_count(
    q: list[tuple[int, int, Role]], g: list[tuple[int, int, Role]], across: bool, block_bytes: int
) -> None:
    query, gallery = side(q, 0), side(g, 1)
    how = Protocol(ignore_same_camera=across)
    same, different = literal(query, gallery, across=across)
    if not same or not different:
        with pytest.raises(ProtocolError, match="there are no pairs of"):
            pair_distances(query, gallery, how, block_bytes=block_bytes)
        return
    found = pair_distances(query, gallery, how, block_bytes=block_bytes)
    assert found.same.tolist() == pytest.approx(same, abs=1e-12)
    assert found.different.tolist() == pytest.approx(different, abs=1e-12)
    assert found.counts.tolist() == [1] * len(different)


def crowd(people: int, seed: int, *, digits: int = 9) -> Embeddings:
    draw = torch.Generator().manual_seed(seed)
    centers = torch.randn(people, 8, generator=torch.Generator().manual_seed(99))
    features = ((centers + 0.6 * torch.randn(people, 8, generator=draw)) * 10**digits).round() / 10**digits
    return Embeddings(features, ("",) * people, torch.arange(people), torch.full((people,), seed))


@pytest.mark.parametrize("digits", [9, 0])
def test_more_pairs_than_are_kept(digits: int) -> None:
    """The nearest hundredth is exact at every block size; the rest is close to the result of all pairs."""
    query, gallery = crowd(150, 0, digits=digits), crowd(150, 1, digits=digits)
    how = Protocol(normalize=False)
    whole = pair_distances(query, gallery, how)
    some = pair_distances(query, gallery, how, kept=3000, block_bytes=40_000)
    assert len(some.different) < 3000 + 300 < len(whole.different) == whole.total == some.total == 150 * 149
    assert torch.equal(some.same, whole.same)
    for rate in (1e-2, 1e-3, 1e-4, 3 / whole.total):
        assert threshold_at(some, rate) == threshold_at(whole, rate)
        assert true_positive_rate_at(some, rate) == true_positive_rate_at(whole, rate)
    places = whole.different[::1000]
    gap = (false_match_rate(some, places) - false_match_rate(whole, places)).abs().max()
    assert 0 < gap < 0.02
    assert equal_error_rate(some) == pytest.approx(equal_error_rate(whole), abs=0.02)
    assert torch.equal(true_positive_rate(some, places), true_positive_rate(whole, places))


def test_many_pairs_may_tie_at_the_bound_of_the_nearest() -> None:
    places = torch.arange(150) % 3
    side = Embeddings(places[:, None].double(), ("",) * 150, torch.arange(150), torch.zeros(150, dtype=torch.long))
    how = Protocol(normalize=False, ignore_same_camera=False)
    some = pair_distances(side, side, how, kept=3000)
    assert some.total == 150 * 149
    assert threshold_at(some, 1e-2) == 0
    expected = [0, 49 / 149, (49 + 50 * 4 / 3) / 149, 1]
    found = false_match_rate(some, torch.tensor([0.0, 1.0, 4.0, 5.0]).double())
    assert found.tolist() == pytest.approx(expected, abs=0.03)


def test_the_seed_decides_the_sample_alone() -> None:
    query, gallery = crowd(60, 0), crowd(60, 1)
    first, again, other = (pair_distances(query, gallery, Protocol(), kept=500, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.different, again.different)
    assert not torch.equal(first.different, other.different)
    assert torch.equal(first.different[:30], other.different[:30])


def test_inputs_without_thresholds_raise() -> None:
    query, gallery = crowd(6, 0), crowd(6, 1)
    with pytest.raises(ProtocolError, match="leave --rerank out"):
        pair_distances(query, gallery, Protocol(rerank=Rerank()))
    broken = gallery.embedding.clone()
    broken[2, 0] = torch.nan
    holed = Embeddings(broken, gallery.paths, gallery.pids, gallery.camids)
    with pytest.raises(ProtocolError, match="1 of 6 embeddings are zero or not finite"):
        pair_distances(query, holed, Protocol())
    unlabeled = Embeddings(gallery.embedding, gallery.paths)
    with pytest.raises(ProtocolError, match="unlabeled"):
        pair_distances(query, unlabeled, Protocol())


def test_distances_too_large_for_their_dtype_raise() -> None:
    def far(rows: Tensor) -> Embeddings:
        return Embeddings(rows, ("",) * 2, torch.arange(2), torch.zeros(2, dtype=torch.long))

    query, gallery = far(torch.tensor([[1e25, 0], [0, 1e25]])), far(torch.tensor([[-1e25, 0], [0, 2e25]]))
    with pytest.raises(ProtocolError, match=r"too long for distances of torch\.float32"):
        pair_distances(query, gallery, Protocol(normalize=False, ignore_same_camera=False))
