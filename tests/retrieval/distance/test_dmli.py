"""DMLI against a literal loop in float64, its value where stripes are equal, and its gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from passerby.retrieval.distance.dmli import dmli, dmli_pairs, shortest_path, stripe_distances


def stripes(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    ).to(dtype)


def literal_costs(x: Tensor, y: Tensor) -> list[list[float]]:
    def cost(a: list[float], b: list[float]) -> float:
        d = math.dist(a, b)
        return (math.exp(d) - 1) / (math.exp(d) + 1)

    return [[cost(a, b) for b in y.tolist()] for a in x.tolist()]


def literal_path(cost: list[list[float]]) -> float:
    best: dict[tuple[int, int], float] = {}
    for i in range(len(cost)):
        for j in range(len(cost[0])):
            reached = [best[p] for p in ((i - 1, j), (i, j - 1)) if p in best]
            best[i, j] = cost[i][j] + (min(reached) if reached else 0.0)
    return best[len(cost) - 1, len(cost[0]) - 1]


@pytest.mark.parametrize(("s", "t"), [(1, 1), (2, 2), (7, 7), (8, 8), (1, 4), (4, 1), (3, 8), (8, 3)])
def test_dmli_equals_a_literal_loop(s: int, t: int) -> None:
    x, y = stripes(5, s, 6, seed=1), stripes(4, t, 6, seed=2)
    expected = torch.tensor([[literal_path(literal_costs(a, b)) for b in y] for a in x], dtype=torch.float64)
    assert (dmli(x, y) - expected).abs().max() < 1e-10
    assert (dmli_pairs(x[:4], y) - expected.diagonal()).abs().max() < 1e-10


@pytest.mark.parametrize("h", [1, 7, 8])
def test_unaligned_dmli_is_the_sum_of_the_diagonal(h: int) -> None:
    x, y = stripes(3, h, 6, seed=1), stripes(4, h, 6, seed=2)
    traces = [[sum(literal_costs(a, b)[i][i] for i in range(h)) for b in y] for a in x]
    expected = torch.tensor(traces, dtype=torch.float64)
    assert (dmli(x, y, aligned=False) - expected).abs().max() < 1e-10
    assert (dmli_pairs(x, y[:3], aligned=False) - expected.diagonal()).abs().max() < 1e-10


def test_the_path_is_summed_over_the_cells_and_not_divided() -> None:
    #  1 9 9
    #  1 1 9   the cheap path: down, right, down, right
    #  9 1 2
    cost = torch.tensor([[1.0, 9, 9], [1, 1, 9], [9, 1, 2]])
    assert shortest_path(cost).item() == 1 + 1 + 1 + 1 + 2
    assert shortest_path(torch.ones(2, 3, 5, 4)).tolist() == [[8.0] * 3] * 2


def test_only_aligned_a_person_cropped_lower_is_nearer_than_another() -> None:
    x, other = stripes(1, 8, 128), stripes(1, 8, 128, seed=1)
    moved = x.roll(1, dims=1)
    assert (dmli(x, moved) / dmli(x, other)).item() < 0.65  # about 8 of 15 cells cost something
    assert (dmli(x, moved, aligned=False) / dmli(x, other, aligned=False)).item() > 0.95


def test_orthogonal_stripes_cost_tanh_of_half_root_two() -> None:
    x = torch.eye(4, dtype=torch.float64)[None]
    assert stripe_distances(x, x)[0, 0, 0, 1].item() == pytest.approx(math.tanh(math.sqrt(2) / 2), abs=1e-12)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 6e-7), (torch.float32, 1e-3)])
def test_equal_stripes_cost_next_to_nothing_and_have_a_finite_gradient(dtype: torch.dtype, bound: float) -> None:
    x = stripes(6, 8, 128, dtype=dtype).requires_grad_()
    cost = dmli_pairs(x, x.detach(), aligned=False)
    assert cost.max() < 8 * bound
    dmli_pairs(x, x.detach()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("aligned", [True, False])
def test_gradients(aligned: bool) -> None:
    x, y = stripes(2, 4, 3, seed=3).requires_grad_(), stripes(3, 4, 3, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: dmli(a, b, aligned=aligned), (x, y))
    assert torch.autograd.gradcheck(lambda a, b: dmli_pairs(a, b[:2], aligned=aligned), (x, y))


def test_inputs_are_not_changed() -> None:
    x, y = stripes(2, 4, 3), stripes(3, 4, 3)
    before = x.clone(), y.clone()
    dmli(x, y)
    dmli_pairs(x, y[:2])
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
