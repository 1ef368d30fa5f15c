"""The path of DMLI against its distance, and against all the paths that there are."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import unwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from passerby.errors import ShapeError
from passerby.explain.matching.alignment import Alignment, Step, align
from passerby.retrieval.distance.dmli import dmli, stripe_distances

seeds = st.integers(0, 2**32 - 1)


def stripes(n: int, seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return normalize(torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=1)


def all_paths(s: int, t: int, a: int = 0, b: int = 0) -> Iterator[list[tuple[int, int]]]:
    """Every way from (a, b) to the last cell."""
    if (a, b) == (s - 1, t - 1):
        yield [(a, b)]
    for down, right in ((1, 0), (0, 1)):
        if a + down < s and b + right < t:
            for rest in all_paths(s, t, a + down, b + right):
                yield [(a, b), *rest]


@settings(max_examples=50, deadline=None)
@given(s=st.integers(1, 12), t=st.integers(1, 12), seed=seeds)
def test_its_cost_is_the_distance(s: int, t: int, seed: int) -> None:
    x, y = stripes(s, seed), stripes(t, seed + 1)
    assert align(x, y).distance == pytest.approx(dmli(x[None], y[None]).item(), rel=1e-5, abs=1e-6)
    assert align(x, y).stripes == (s, t)


@settings(max_examples=50, deadline=None)
@given(s=st.integers(1, 5), t=st.integers(1, 5), seed=seeds)
def test_no_path_is_cheaper(s: int, t: int, seed: int) -> None:
    x, y = (stripes(n, seed + n, dtype=torch.float64) for n in (s, t))
    cost = stripe_distances(x[None], y[None])[0, 0]
    found = align(x, y)
    paths = list(all_paths(s, t))
    assert [step[:2] for step in found.steps] in paths
    assert found.distance == pytest.approx(min(sum(cost[cell].item() for cell in path) for path in paths), rel=1e-12)
    assert all(step.cost == cost[step.a, step.b].item() for step in found.steps)


def test_equal_costs_always_give_the_same_path() -> None:
    same = normalize(torch.ones(3, 2), dim=1)
    assert [step[:2] for step in align(same, same).steps] == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]
    crossed = torch.eye(2)  # (0, 1) and (1, 0) cost alike
    assert [step[:2] for step in align(crossed, crossed).steps] == [(0, 0), (0, 1), (1, 1)]


def test_a_person_lower_in_the_image_is_aligned() -> None:
    body = stripes(5, 0)
    moved = torch.cat([body[:1], body[:1], body[:-1]])
    aligned = {(step.a, step.b) for step in align(body, moved).steps if step.cost < 1e-3}
    assert {(0, 0), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5)} <= aligned


def test_an_alignment_is_a_value() -> None:
    assert Alignment((Step(0, 0, 0.5),)) == Alignment((Step(0, 0, 0.5),))


@pytest.mark.parametrize(("x", "y"), [((2, 3), (2, 4)), ((3,), (3,)), ((0, 3), (2, 3))])
def test_other_shapes_are_an_error(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="stripes"):
        unwrap(align)(torch.ones(x), torch.ones(y))  # without the tests' own check of shapes
