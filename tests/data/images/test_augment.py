"""Augmentation: what each transform may do to a pixel, and that the generator alone decides."""

from __future__ import annotations

import math
from typing import Any, get_args

import kornia
import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from passerby.data.images.augment import (
    Augmentation,
    random_affine,
    random_enlarged_crop,
    random_flip,
    random_jitter,
    random_pad_crop,
)
from passerby.data.images.erase import EraseAspect, fill_randomly, fill_with_mean, random_rectangles
from passerby.data.images.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalization, normalize_images
from passerby.errors import UnknownNameError

FORMER_AREAS = [9, 30, 35, 12, 35, 21, 12, 12]
"""The pixels that version 0.1 erased of eight images of 16×8 with probability 0.8 and seed 5."""


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(b: int = 6, h: int = 16, w: int = 8) -> Tensor:
    return torch.randint(0, 256, (b, 3, h, w), generator=seeded(9), dtype=torch.uint8)


def test_normalise_is_the_formula() -> None:
    x = images()
    expected = (x.double() / 255 - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    assert torch.allclose(normalize_images(x).double(), expected, atol=1e-5)


def test_an_enlarged_crop_is_a_window_of_the_enlarged_image() -> None:
    x = images(64, 16, 8)
    cropped = random_enlarged_crop(x, 0.5, seeded())
    enlarged = F.interpolate(x.float(), size=(18, 9), mode="bilinear", align_corners=False).round().byte()
    windows = torch.stack([enlarged[:, :, t : t + 16, s : s + 8] for t in range(3) for s in range(2)])
    is_window = (windows == cropped).flatten(2).all(2)  # (place, image)
    same = (cropped == x).flatten(1).all(1)
    assert (is_window.any(0) | same).all()
    assert 20 < same.sum() < 44
    assert is_window.any(1).all(), "every place occurs"
    assert torch.equal(cropped, random_enlarged_crop(x, 0.5, seeded()))
    assert torch.equal(random_enlarged_crop(x, 0.0, seeded()), x)


def test_flip_mirrors_about_half_and_leaves_the_rest() -> None:
    x = images(400, 4, 4)
    flipped = random_flip(x, 0.5, seeded())
    mirrored = (flipped == x.flip(3)).all(dim=(1, 2, 3))
    same = (flipped == x).all(dim=(1, 2, 3))
    assert (mirrored | same).all()
    assert 150 < mirrored.sum() < 250
    assert torch.equal(random_flip(x, 1.0, seeded()), x.flip(3))


def test_pad_crop_shifts_by_whole_pixels_with_black_edges() -> None:
    x = images(30).clamp_min(1)
    shifted = random_pad_crop(x, 2, seeded())
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    for image, source in zip(shifted, padded, strict=True):
        windows = [source[:, t : t + 16, c : c + 8] for t in range(5) for c in range(5)]
        assert any(torch.equal(image, window) for window in windows)
    assert len({tuple((image == 0).flatten().tolist()) for image in shifted}) > 3


def test_translation_moves_content_and_no_motion_is_the_identity() -> None:
    x = images()
    assert torch.equal(random_affine(x, 0.0, 0.0, seeded()), x)
    moved = random_affine(x, 0.0, 0.25, seeded())
    assert moved.shape == x.shape
    assert not torch.equal(moved, x)


def test_rotation_keeps_the_center_within_its_bound() -> None:
    x = torch.zeros(20, 3, 33, 33, dtype=torch.uint8)
    x[:, :, 16, 28] = 255  # 12 pixels right of the center
    turned = random_affine(x, 10.0, 0.0, seeded()).float()[:, 0]
    rows = torch.arange(33.0)
    height = ((turned.sum(2) * rows).sum(1) / turned.sum((1, 2))) - 16
    assert height.abs().max() <= 12 * 0.1737 + 0.6  # 12·sin 10°
    assert height.abs().max() > 1


@pytest.mark.parametrize("aspect", get_args(EraseAspect))
def test_erasing_leaves_one_mean_colored_rectangle_of_2_to_40_percent(aspect: Any) -> None:
    x = torch.ones(300, 3, 64, 32)
    erased = fill_with_mean(x, random_rectangles((300, 64, 32), 1.0, seeded(), aspect=aspect))
    hole = (erased == 0).all(dim=1)
    for mask in hole[hole.any(dim=2).any(dim=1)]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        assert 0.015 <= mask.float().mean() <= 0.42
        assert 0.25 <= rows.sum() / columns.sum() <= 4
    assert hole.any(dim=2).any(dim=1).float().mean() > 0.95
    half = random_rectangles((300, 64, 32), 0.5, seeded()).flatten(1).any(1).float().mean()
    assert 0.4 < half < 0.6


def literal_erase(images: Tensor, p: float, generator: Generator) -> list[list[list[list[int]]]]:
    """Return what Zhong et al.'s Algorithm 1 makes of images, pixel by pixel, with the same random numbers.

    S_e = Rand(0.02, 0.4)·S, r_e = Rand(0.3, 1/0.3), H_e = √(S_e·r_e), W_e = √(S_e/r_e); I(I_e) = Rand(0, 255).
    """
    b, _, h, w = images.shape
    shares, ratios = (torch.rand(10 * b, generator=generator).tolist() for _ in range(2))
    top, left, chance = (torch.rand(b, generator=generator).tolist() for _ in range(3))
    places = []
    for i in range(b):
        for area, ratio in zip(shares[10 * i : 10 * i + 10], ratios[10 * i : 10 * i + 10], strict=True):
            S_e, r_e = (0.02 + (0.4 - 0.02) * area) * h * w, 0.3 + (1 / 0.3 - 0.3) * ratio
            H_e, W_e = round(math.sqrt(S_e * r_e)), round(math.sqrt(S_e / r_e))
            if H_e < h and W_e < w:
                y, x = math.floor(top[i] * (h - H_e + 1)), math.floor(left[i] * (w - W_e + 1))
                inside = [(i, y + u, x + v) for u in range(H_e) for v in range(W_e)]
                places += inside if chance[i] < p else []
                break
    colors = torch.randint(256, (len(places), 3), generator=generator).tolist()
    found: list[list[list[list[int]]]] = images.tolist()
    for n, (i, y, x) in enumerate(sorted(places)):
        for c in range(3):
            found[i][c][y][x] = colors[n][c]
    return found


def test_random_erasing_is_the_published_algorithm() -> None:
    x = images(12, 16, 8)
    expected = torch.tensor(literal_erase(x, 0.7, seeded(3)))
    found = Augmentation(flip=0, erase=0.7)(x, seeded(3))
    torch.testing.assert_close(found, normalize_images(expected))
    erased = (expected != x).any(dim=1).flatten(1).any(dim=1)
    assert 5 <= erased.sum() <= 11


def test_erased_pixels_are_random_colors_and_the_rest_is_untouched() -> None:
    x, generator = images(64, 32, 16), seeded()
    hole = random_rectangles((64, 32, 16), 1.0, generator)
    erased = fill_randomly(x, hole, generator)
    assert torch.equal(erased.permute(0, 2, 3, 1)[~hole], x.permute(0, 2, 3, 1)[~hole])
    colors = erased.permute(0, 2, 3, 1)[hole].float()
    assert (colors.min().item(), colors.max().item()) == (0, 255)
    assert colors.mean(dim=0).tolist() == pytest.approx([127.5] * 3, abs=5)
    assert colors.std(dim=0).tolist() == pytest.approx([256 / 12**0.5] * 3, abs=3)  # uniform


def test_erasing_with_the_mean_and_an_even_logarithm_is_as_before() -> None:
    """A run of before draws the same numbers: rectangle and place as in version 0.1, 0 within."""
    x = images(8, 16, 8)
    former = Augmentation(flip=0, erase=0.8, erase_fill="mean", erase_aspect="log")(x, seeded(5))
    hole = random_rectangles((8, 16, 8), 0.8, seeded(5), aspect="log")
    assert torch.equal(former, normalize_images(x).masked_fill(hole[:, None], 0.0))
    assert hole.sum(dim=(1, 2)).tolist() == FORMER_AREAS


def test_the_aspect_ratio_is_uniform_or_uniform_by_its_logarithm() -> None:
    """Uniform from 0.3 to 3.33 its mean is 1.82; by its logarithm, 1.26, and half of all rectangles are wide."""
    wide = {}
    for aspect in get_args(EraseAspect):
        hole = random_rectangles((600, 64, 64), 1.0, seeded(), aspect=aspect)
        tall = hole.any(dim=2).sum(dim=1) / hole.any(dim=1).sum(dim=1)
        wide[aspect] = (tall < 1).float().mean().item()
    assert wide["log"] == pytest.approx(0.5, abs=0.06)
    assert wide["uniform"] == pytest.approx((1 - 0.3) / (1 / 0.3 - 0.3), abs=0.06)


def test_channel_means_alone_are_subtracted() -> None:
    x = images()
    expected = x.double() / 255 - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    assert torch.allclose(normalize_images(x, "imagenet_mean").double(), expected, atol=1e-6)
    own = x.double() / 255 - (x.double() / 255).mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(normalize_images(x, "image_mean").double(), own, atol=1e-6)
    assert torch.allclose(normalize_images(x, "half").double(), (x.double() / 255 - 0.5) / 0.5, atol=1e-6)
    for normalization in get_args(Normalization):
        augmented = Augmentation(flip=0, normalization=normalization)(x, seeded())
        assert torch.equal(augmented, normalize_images(x, normalization))
    with pytest.raises(UnknownNameError, match="Did you mean image_mean"):
        normalize_images(x, "images_mean")  # type: ignore[arg-type]


def test_jitter_changes_light_and_color_but_not_places() -> None:
    x = images(64, 16, 8)
    jittered = random_jitter(x, 0.3, seeded())
    assert jittered.dtype == torch.uint8
    brightness = jittered.float().mean(dim=(1, 2, 3)) / x.float().mean(dim=(1, 2, 3))
    assert brightness.min() > 0.65
    assert brightness.max() < 1.35
    assert brightness.std() > 0.08
    gray = torch.full((8, 3, 4, 4), 100, dtype=torch.uint8)
    assert (random_jitter(gray, 0.3, seeded()).float().std(dim=(1, 2, 3)) == 0).all()  # nothing to contrast or color
    assert torch.equal(random_jitter(x, 0.0, seeded()), x)


@pytest.mark.parametrize("h", [16, 64])
def test_the_generator_alone_decides(h: int) -> None:
    augment = Augmentation(flip=0.5, pad=3, degrees=10, translate=0.1, jitter=0.2, erase=0.5)
    x = images(8, h, h // 2)
    state = torch.get_rng_state()
    first = augment(x, seeded(1))
    assert torch.equal(first, augment(x, seeded(1)))
    assert not torch.equal(first, augment(x, seeded(2)))
    assert torch.equal(state, torch.get_rng_state())  # torch's own generator is untouched
    assert first.dtype == torch.float32


def test_normalizing_is_kornias_to_the_last_bit() -> None:
    images = torch.randint(256, (3, 3, 37, 21), generator=seeded()).to(torch.uint8)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    for same in (images, images.contiguous(memory_format=torch.channels_last)):
        found, expected = normalize_images(same), kornia.enhance.normalize(same.float() / 255, mean, std)
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride()
