"""Measures of saliency maps against loops."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from scipy.stats import spearmanr

from passerby.explain.saliency.measures import (
    area_under_curve,
    blur_images,
    mass_inside,
    points_inside,
    random_order,
    rank_correlation,
    replace_pixels,
    saliency_order,
    score_curve,
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_most_salient_come_first_and_equal_ones_in_any_order() -> None:
    maps = torch.zeros(2, 4, 5)
    maps[0, 1, 2], maps[0, 3, 4], maps[1, 0, 0] = 2, 3, 1
    order = saliency_order(maps, generator())
    assert order[0, :2].tolist() == [19, 7]
    assert order[1, 0] == 0
    assert all(sorted(row.tolist()) == list(range(20)) for row in order)
    assert order[0, 2:].tolist() != sorted(order[0, 2:].tolist())
    assert not torch.equal(order, random_order(maps, generator()))
    assert torch.equal(order, saliency_order(maps, generator()))


def test_squares_are_drawn_as_a_whole() -> None:
    order = random_order(torch.zeros(2, 5, 6), generator(), cell=2)
    assert sorted(order[0].tolist()) == list(range(30))
    squares = [(p // 6 // 2, p % 6 // 2) for p in order[0].tolist()]
    entered = [square for before, square in pairwise([None, *squares]) if before != square]
    assert len(set(squares)) == 9 == len(entered)
    assert order[0].tolist() != order[1].tolist()


def test_shares_of_an_image_are_replaced_in_order() -> None:
    draw = generator()
    image, other = torch.randint(0, 256, (2, 3, 4, 5), generator=draw, dtype=torch.uint8)
    order, shares = torch.randperm(20, generator=draw), (0, 0.25, 1)
    found = replace_pixels(image, other, order, shares)
    for s, share in enumerate(shares):
        wanted = image.clone()
        for place in order[: int(share * 20)].tolist():
            wanted[:, place // 5, place % 5] = other[:, place // 5, place % 5]
        assert torch.equal(found[s], wanted)


def test_values_and_the_area_under_them() -> None:
    black, white = torch.zeros(3, 4, 5, dtype=torch.uint8), torch.full((3, 4, 5), 255, dtype=torch.uint8)
    shares = (0.0, 0.5, 1.0)
    order = random_order(torch.zeros(1, 4, 5), generator())[0]
    values = score_curve(lambda images: images.float().mean(dim=(1, 2, 3)) / 255, black, white, order, shares)
    assert values.tolist() == pytest.approx([0, 0.5, 1])
    assert area_under_curve(values, shares).item() == pytest.approx(0.5)
    assert area_under_curve(torch.tensor([1.0, 0.0, 0.0]), (0, 0.2, 1)).item() == pytest.approx(0.1)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_spearmans(ties: bool) -> None:
    x, y = torch.randn(2, 3, 6, 4, generator=generator())
    if ties:
        x, y = x.clamp_min(0), (2 * y).round()
    found = rank_correlation(x, y)
    for row in range(3):
        assert found[row].item() == pytest.approx(spearmanr(x[row].flatten(), y[row].flatten()).statistic)
    assert rank_correlation(x, x.exp()).tolist() == pytest.approx([1, 1, 1])
    assert rank_correlation(x, torch.zeros_like(x)).tolist() == [0, 0, 0]


def test_mass_and_highest_point_inside_a_mask() -> None:
    maps, masks = torch.rand(3, 10, 5, generator=generator()), torch.rand(3, 10, 5, generator=generator()) > 0.4
    maps[2] = 0
    for row in range(2):
        pixels = sorted(((maps[row, i, j].item(), i, j) for i in range(10) for j in range(5)), reverse=True)[:5]
        wanted = sum(v for v, i, j in pixels if masks[row, i, j]) / sum(v for v, _, _ in pixels)
        assert mass_inside(maps, masks)[row].item() == pytest.approx(wanted, abs=1e-6)
        assert points_inside(maps, masks)[row] == masks[row, pixels[0][1], pixels[0][2]]
    assert mass_inside(maps, masks)[2] == 0
    assert mass_inside(torch.ones(3, 10, 5), masks, most=1).tolist() == pytest.approx(
        masks.float().mean(dim=(1, 2)).tolist()
    )


def test_a_blurred_image_keeps_its_color_and_loses_its_pattern() -> None:
    stripes = torch.zeros(1, 3, 32, 16, dtype=torch.uint8)
    stripes[:, :, ::2] = 200
    found = blur_images(stripes).float()
    assert found.shape == stripes.shape
    assert found[:, :, 8:-8].std() < 3
    assert found.mean().item() == pytest.approx(100, abs=3)
