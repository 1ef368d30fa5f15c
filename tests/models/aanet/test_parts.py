"""The parts by peak activation: Eq 1 with loops, the clustering against every partition, edges, pooling."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from passerby.models.aanet.parts import cluster_rows, even_stripes, peak_parts, peak_rows, pool_rows


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_peak_rows_are_equation_1_the_first_of_equal_ones() -> None:
    X = torch.randint(0, 5, (3, 20, 6, 3), generator=torch.Generator().manual_seed(1)).double()  # many ties
    for b in range(3):
        for z in range(20):
            best, row = -1.0, -1
            for h in range(6):
                for w in range(3):
                    if X[b, z, h, w] > best:
                        best, row = X[b, z, h, w].item(), h
            assert peak_rows(X)[b, z] == row
    assert (peak_rows(torch.zeros(1, 2, 4, 4)) == 0).all()


def literal_cost(rows: Iterable[int], counts: list[int]) -> Fraction:
    """Return the squared distance of the peaks in these rows to their mean."""
    rows = list(rows)
    mean = Fraction(sum(counts[r] * r for r in rows), sum(counts[r] for r in rows))
    return sum((counts[r] * (r - mean) ** 2 for r in rows), Fraction(0))


def literal_bins(counts: list[int], parts: int) -> list[tuple[int, int]]:
    """Return first and last peak row of each bin of the cheapest of all partitions, in exact arithmetic."""
    occupied = [row for row, n in enumerate(counts) if n]
    best: tuple[Fraction, list[list[int]]] | None = None
    for cuts in itertools.combinations(range(1, len(occupied)), parts - 1):  # the earliest cuts come first
        edges = [0, *cuts, len(occupied)]
        bins = [occupied[a:b] for a, b in itertools.pairwise(edges)]
        cost = sum((literal_cost(rows, counts) for rows in bins), Fraction(0))
        if best is None or cost < best[0]:
            best = cost, bins
    assert best is not None
    return [(rows[0], rows[-1]) for rows in best[1]]


def spans(parts: Tensor) -> list[tuple[int, int]]:
    """Return first and last row of each part, whose rows must be contiguous."""
    found = []
    for part in parts:
        rows = part.nonzero().flatten().tolist()
        assert rows == list(range(rows[0], rows[-1] + 1))
        found.append((rows[0], rows[-1]))
    return found


def with_peaks(counts: list[int]) -> Tensor:
    """Return a map with one channel per peak, which peaks in its row."""
    rows = [row for row, n in enumerate(counts) for _ in range(n)]
    X = torch.zeros(1, len(rows), len(counts), 2)
    X[0, torch.arange(len(rows)), torch.tensor(rows), 1] = 1.0
    return X


@given(
    counts=st.lists(st.integers(0, 4), min_size=2, max_size=10).filter(lambda c: sum(n > 0 for n in c) >= 2),
    parts=st.integers(2, 6),
)
def test_parts_are_the_cheapest_partition_of_all(counts: list[int], parts: int) -> None:
    found = peak_parts(with_peaks(counts), parts)[0]
    if sum(n > 0 for n in counts) < parts:
        assert torch.equal(found, even_stripes(len(counts), parts))
    else:
        assert spans(found) == literal_bins(counts, parts)


def test_every_histogram_of_seven_rows_with_ties() -> None:
    """Counts of 0 and 1 have many equal costs, for which the earlier cut decides."""
    chosen = [c for c in itertools.product((0, 1), repeat=7) if sum(c) >= 3]
    ends = cluster_rows(torch.tensor(chosen), 3)
    for counts, end in zip(chosen, ends.tolist(), strict=True):
        edges = [0, *end]
        rows = [[r for r in range(a, b) if counts[r]] for a, b in itertools.pairwise(edges)]
        assert end[-1] == 7
        assert [(r[0], r[-1]) for r in rows] == literal_bins(list(counts), 3)


def test_a_tie_goes_to_the_earlier_cut() -> None:
    assert spans(peak_parts(with_peaks([1, 1, 1]), 2)[0]) == [(0, 0), (1, 2)]  # not (0, 1), (2, 2)


def test_rounding_decides_no_tie_among_many_peaks() -> None:
    counts = [341, 341, 341, 341, 342, 342] * 4  # as a ResNet-50's 2048 channels, twice symmetric
    for place in range(24):
        changed = [n + (row == place) for row, n in enumerate(counts)]
        mirrored = changed[::-1]
        for each in (changed, mirrored):
            ends = cluster_rows(torch.tensor([each]), 2)[0, 0].item()
            costs = {cut: literal_cost(range(cut), each) + literal_cost(range(cut, 24), each) for cut in range(1, 24)}
            assert ends == min(costs, key=lambda cut: (costs[cut], cut))


def test_six_parts_of_a_map_of_twelve_rows_do_not_depend_on_the_batch() -> None:
    X = randn(5, 64, 12, 4)
    parts = peak_parts(X)
    assert parts.shape == (5, 6, 12)
    for b in range(5):
        counts = [int((peak_rows(X)[b] == row).sum()) for row in range(12)]
        assert spans(parts[b]) == literal_bins(counts, 6)
        assert torch.equal(peak_parts(X[b : b + 1])[0], parts[b])


def test_rows_between_two_parts_belong_to_none() -> None:
    parts = peak_parts(with_peaks([1, 0, 1, 0, 0, 1, 1, 1, 1]))[0]
    assert spans(parts) == [(0, 0), (2, 2), (5, 5), (6, 6), (7, 7), (8, 8)]
    assert not parts[:, [1, 3, 4]].any()


def test_fewer_than_six_peak_rows_make_even_stripes() -> None:
    X = torch.cat([with_peaks([6] * 5 + [0] * 7)] * 2)
    assert torch.equal(peak_parts(X), even_stripes(12, 6).expand(2, -1, -1))
    assert spans(peak_parts(X)[0]) == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]
    assert spans(peak_parts(torch.rand(2, 8, 4, 2))[1]) == [(0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (3, 3)]


@pytest.mark.parametrize("height", [1, 2, 4, 8, 12, 24])
@pytest.mark.parametrize("parts", [1, 3, 6])
def test_even_stripes_are_torch_s_adaptive_pooling(height: int, parts: int) -> None:
    maps = randn(2, 5, height, 3)
    rows = even_stripes(height, parts).expand(2, -1, -1)
    expected = torch.nn.functional.adaptive_avg_pool2d(maps, (parts, 1))[..., 0].transpose(1, 2)
    torch.testing.assert_close(pool_rows(maps, rows), expected)


def test_pooling_is_the_mean_of_a_part_s_rows() -> None:
    maps = randn(2, 3, 5, 2).requires_grad_()
    rows = torch.tensor([[[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0]]]).bool()
    pooled = pool_rows(maps, rows)
    torch.testing.assert_close(pooled[0, 1], maps[0, :, 2:].mean(dim=(1, 2)))
    torch.testing.assert_close(pooled[1, 0], maps[1, :, 0].mean(dim=1))
    assert torch.autograd.gradcheck(lambda m: pool_rows(m, rows), maps)
