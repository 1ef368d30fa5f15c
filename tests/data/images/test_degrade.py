"""Degraded images: what each step may do, and that the generator alone decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from passerby.data.images.augment import Augmentation
from passerby.data.images.degrade import random_blur, random_gray, random_shrink, random_tint

STEPS = [random_tint, random_gray, random_blur, random_shrink]
Step = Callable[[Tensor, float, Generator], Tensor]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(b: int = 8, h: int = 128, w: int = 64) -> Tensor:
    return torch.randint(0, 256, (b, 3, h, w), generator=seeded(9), dtype=torch.uint8)


@pytest.mark.parametrize("step", STEPS)
def test_the_generator_decides_alone(step: Step) -> None:
    x = images()
    before = x.clone()
    first, again, other = step(x, 0.5, seeded(1)), step(x, 0.5, seeded(1)), step(x, 0.5, seeded(2))
    assert torch.equal(x, before)
    assert first.dtype == torch.uint8
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("step", [random_gray, random_blur, random_shrink])
def test_probabilities_of_none_and_all(step: Step) -> None:
    x = images()
    assert torch.equal(step(x, 0.0, seeded()), x)
    assert (step(x, 1.0, seeded()) != x).flatten(1).any(1).all()
    half = (step(images(200), 0.5, seeded()) != images(200)).flatten(1).any(1).float().mean()
    assert 0.38 < half < 0.62


def test_a_gray_image_keeps_its_brightness() -> None:
    x = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 2)
    gray = random_gray(x, 1.0, seeded())
    assert gray.unique().tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


def test_a_tint_is_a_gain_and_a_gamma_of_each_channel() -> None:
    x = images(2)
    draws = torch.rand(12, generator=seeded(3)) * 0.4 + 0.8
    gain, gamma = draws[:6].view(2, 3, 1, 1), draws[6:].view(2, 3, 1, 1)
    expected = (255 * gain * (x.float() / 255).pow(gamma)).round().clamp(0, 255)
    assert torch.equal(random_tint(x, 0.2, seeded(3)), expected.to(torch.uint8))


@pytest.mark.parametrize("step", [random_blur, random_shrink])
def test_fine_detail_goes_and_the_mean_stays(step: Step) -> None:
    x = images(8)
    soft = step(x, 1.0, seeded()).float()
    assert (soft.std(dim=(2, 3)) < 0.95 * x.float().std(dim=(2, 3))).all()
    assert (soft.mean(dim=(1, 2, 3)) - x.float().mean(dim=(1, 2, 3))).abs().max() < 3


def test_an_amount_of_zero_draws_nothing() -> None:
    plain, none = Augmentation(erase=0.5), Augmentation(erase=0.5, tint=0.0, gray=0.0, blur=0.0, shrink=0.0)
    assert torch.equal(plain(images(), seeded()), none(images(), seeded()))
    assert not torch.equal(plain(images(), seeded()), Augmentation(erase=0.5, gray=1.0)(images(), seeded()))
