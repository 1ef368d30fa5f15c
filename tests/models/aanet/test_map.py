"""The attribute attention map: activation maps, scaling, thresholds against every cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from passerby.models.aanet.map import activation_map, attention_mask, min_max, otsu


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_activation_map_weighs_the_channels_for_the_predicted_class() -> None:
    V, weight, scores = randn(2, 4, 3, 2), randn(5, 4, seed=1), randn(2, 5, seed=2)
    found = activation_map(V, weight, scores)
    for b in range(2):
        k = max(range(5), key=lambda c: scores[b, c].item())
        for h in range(3):
            for w in range(2):
                literal = sum(weight[k, c].item() * V[b, c, h, w].item() for c in range(4))
                assert found[b, h, w].item() == pytest.approx(literal, abs=1e-12)


def test_the_mean_of_an_activation_map_is_the_score_of_the_pooled_map() -> None:
    """A class activation map has score = mean of the map + bias."""
    V, head = randn(3, 4, 5, 2), torch.nn.Linear(4, 6).double()
    scores = head(V.mean(dim=(2, 3)))
    best = scores.max(dim=1)
    means = activation_map(V, head.weight, scores).mean(dim=(1, 2))
    torch.testing.assert_close(means + head.bias[best.indices], best.values)


def test_no_gradient_flows_through_it() -> None:
    V, weight = randn(2, 4, 3, 2).requires_grad_(), randn(5, 4).requires_grad_()
    assert not activation_map(V, weight, V.mean(dim=(2, 3)) @ weight.T).requires_grad


def test_min_max() -> None:
    maps = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[7.0, 7.0], [7.0, 7.0]]])
    assert min_max(maps).tolist() == [[[0.0, 0.5], [0.25, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]


def literal_otsu(values: list[float]) -> tuple[float, float | None]:
    """Return the greatest between-class variance of all cuts, and the least value above the first that reaches it."""
    best, limit = -1.0, None
    for candidate in sorted(set(values))[1:]:
        lower, upper = [v for v in values if v < candidate], [v for v in values if v >= candidate]
        means = sum(lower) / len(lower), sum(upper) / len(upper)
        between = len(lower) * len(upper) / len(values) ** 2 * (means[0] - means[1]) ** 2
        if between > best + 1e-12:
            best, limit = between, candidate
    return best, limit


@given(st.lists(st.integers(0, 20).map(lambda v: v / 20), min_size=1, max_size=12))
def test_otsu_is_the_best_of_all_cuts(values: list[float]) -> None:
    limit = otsu(torch.tensor([values], dtype=torch.float64)).item()
    best, expected = literal_otsu(values)
    if expected is None:
        assert limit == values[0]  # a constant row: everything is the upper class
        return
    lower, upper = [v for v in values if v < limit], [v for v in values if v >= limit]
    between = len(lower) * len(upper) / len(values) ** 2 * (sum(lower) / len(lower) - sum(upper) / len(upper)) ** 2
    assert between == pytest.approx(best, abs=1e-12)


def test_otsu_by_hand_and_row_by_row() -> None:
    values = torch.tensor([[0.1, 0.9, 0.2, 0.8, 0.15], [0.5, 0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0, 1.0]])
    assert otsu(values).flatten().tolist() == pytest.approx([0.8, 0.5, 1.0])
    assert torch.equal(otsu(values)[:1], otsu(values[:1]))
    assert otsu(torch.tensor([[0.3]])).item() == pytest.approx(0.3)


def test_the_mask_is_on_where_the_maximum_of_the_maps_reaches_the_threshold() -> None:
    maps = torch.tensor([[[[1.0, 0.0], [0.1, 0.0]], [[0.0, 0.7], [0.2, 0.0]]]])  # joined: 1, 0.7, 0.2, 0
    assert attention_mask(maps, "otsu").tolist() == [[[1.0, 1.0], [0.0, 0.0]]]
    assert attention_mask(maps, "mean").tolist() == [[[1.0, 1.0], [0.0, 0.0]]]
    low = torch.tensor([[[[1.0, 0.0, 0.3, 0.3, 0.3, 0.3]]]])  # mean 0.37, Otsu's cut lies below 1 too
    assert attention_mask(low, "mean").tolist() == [[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]
    two = torch.tensor([[[[1.0, 0.55, 0.55, 0.0, 0.45, 0.5, 0.5]]]])
    assert attention_mask(two, "mean").flatten().tolist() == [1, 1, 1, 0, 0, 0, 0]  # mean 0.507
    assert attention_mask(two, "otsu").flatten().tolist() != [1, 1, 1, 0, 0, 0, 0]


def test_without_a_threshold_the_map_is_soft() -> None:
    maps = torch.tensor([[[[1.0, 0.0], [0.1, 0.0]], [[0.0, 0.7], [0.2, 0.0]]]])
    assert torch.equal(attention_mask(maps, "none"), torch.tensor([[[1.0, 0.7], [0.2, 0.0]]]))


@pytest.mark.parametrize("threshold", ["otsu", "mean"])
def test_maps_are_joined_by_their_maximum(threshold: str) -> None:
    """A position that only one group activates stays; its average over the groups would be the lowest."""
    maps = torch.tensor([[1.0, 0.7, 0.7, 0.7], [0.0, 0.7, 0.7, 0.7], [0.0, 0.7, 0.7, 0.7]]).view(1, 3, 2, 2)
    assert attention_mask(maps, threshold).flatten().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("threshold", ["otsu", "mean"])
def test_constant_maps_leave_the_whole_mask_on(threshold: str) -> None:
    assert attention_mask(torch.zeros(2, 3, 4, 2), threshold).eq(1).all()
    assert attention_mask(torch.ones(2, 3, 4, 2), threshold).eq(1).all()
