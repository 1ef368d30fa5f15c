"""Images and keypoints move together; what makes images worse leaves keypoints alone."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Generator, Tensor

from passerby.data.images.normalize import normalize_images
from passerby.data.keypoints.augment import (
    PoseAugmentation,
    crop_windows,
    occlude,
    reduce_resolution,
    transform_keypoints,
)
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES

SIZE = (64, 32)
LEFT, RIGHT = KEYPOINT_NAMES.index("left_wrist"), KEYPOINT_NAMES.index("right_wrist")
EVERYTHING = PoseAugmentation(
    scale=0.2,
    closer=0.1,
    aspect=0.2,
    shift=0.1,
    degrees=15,
    jitter=0.3,
    gray=0.5,
    tint=0.2,
    blur=0.5,
    low=0.5,
    noise=0.1,
    hide=0.5,
)


def people(n: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, *SIZE), generator=generator).to(torch.uint8)
    return images, 0.2 + 0.6 * torch.rand(n, 18, 2, generator=generator), torch.ones(n, 18)


def spots(keypoints: Tensor, keypoint: int) -> Tensor:
    """Black images with a soft white spot where one keypoint is."""
    y, x = ((torch.arange(n) + 0.5) for n in SIZE)
    at = keypoints[:, keypoint] * torch.tensor([SIZE[1], SIZE[0]])
    apart = (x[None, None, :] - at[:, 0, None, None]) ** 2 + (y[None, :, None] - at[:, 1, None, None]) ** 2
    return (255 * (-apart / 8).exp()).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_spot_moves_with_its_keypoint(flip: float) -> None:
    """The brightest pixel of the warped image is where the warped keypoint is; a mirror calls it by the other side."""
    _, keypoints, confidence = people(16)
    warp = PoseAugmentation(flip=flip, scale=0.1, aspect=0.2, shift=0.05, degrees=20)
    windows = warp.windows(16, SIZE, Generator().manual_seed(1))
    augmented = crop_windows(spots(keypoints, LEFT), windows, SIZE)
    places, _ = transform_keypoints(keypoints, confidence, windows)
    brightest = augmented[:, 0].float().flatten(1).argmax(1)
    row, column = brightest // SIZE[1], brightest % SIZE[1]
    wanted = places[:, RIGHT if flip else LEFT] * torch.tensor([SIZE[1], SIZE[0]])
    assert (column + 0.5 - wanted[:, 0]).abs().max() <= 1
    assert (row + 0.5 - wanted[:, 1]).abs().max() <= 1


def test_a_mirror_alone_is_exact() -> None:
    images, keypoints, confidence = people()
    confidence[:, LEFT] = 0.5
    windows = PoseAugmentation(flip=1.0).windows(4, SIZE, Generator())
    assert torch.equal(crop_windows(images, windows, SIZE), images.flip(-1))
    places, surety = transform_keypoints(keypoints, confidence, windows)
    torch.testing.assert_close(places[:, LEFT, 0], 1 - keypoints[:, RIGHT, 0])
    torch.testing.assert_close(places[:, LEFT, 1], keypoints[:, RIGHT, 1])
    assert (surety[:, RIGHT] == 0.5).all()
    assert (surety[:, LEFT] == 1).all()


def test_nothing_asked_for_is_nothing_done() -> None:
    images, keypoints, confidence = people()
    augmented, places, surety = PoseAugmentation(flip=0.0)(images, keypoints, confidence, SIZE, Generator())
    torch.testing.assert_close(augmented, normalize_images(images))
    torch.testing.assert_close(places, keypoints)
    assert torch.equal(surety, confidence)


def test_what_leaves_the_window_is_not_sure() -> None:
    _, keypoints, confidence = people(1)
    keypoints[0, 0], keypoints[0, 1] = torch.tensor([0.1, 0.5]), torch.tensor([0.5, 0.5])
    half = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])  # the middle half of each side
    places, surety = transform_keypoints(keypoints, confidence, half)
    torch.testing.assert_close(places[0, :2], torch.tensor([[-0.3, 0.5], [0.5, 0.5]]))
    assert surety[0, :2].tolist() == [0, 1]
    confidence[0, :2] = -1  # unlabeled, so of this window too
    assert transform_keypoints(keypoints, confidence, half)[1][0, :2].tolist() == [-1, -1]


def test_a_larger_window_goes_on_beyond_the_edge() -> None:
    images = torch.full((1, 3, *SIZE), 7, dtype=torch.uint8)
    double = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]])
    assert (crop_windows(images, double, SIZE) == 7).all()


def test_the_size_may_change() -> None:
    images, keypoints, confidence = people()
    augmented, places, _ = PoseAugmentation(flip=0.0)(images, keypoints, confidence, (32, 16), Generator())
    assert augmented.shape == (4, 3, 32, 16)
    torch.testing.assert_close(places, keypoints)


def test_a_seed_decides_everything() -> None:
    once, again, other = (EVERYTHING(*people(), SIZE, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for a, b in zip(once, again, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(once[0], other[0])
    assert once[0].isfinite().all()


@pytest.mark.parametrize("name", [f.name for f in fields(PoseAugmentation)])
def test_every_part_does_something(name: str) -> None:
    amount = 10.0 if name == "degrees" else 0.9 if name in ("scale", "closer", "jitter") else 1.0
    part = PoseAugmentation(**{"flip": 0.0, name: amount})
    images, keypoints, confidence = people()
    augmented, places, _ = part(images, keypoints, confidence, SIZE, Generator().manual_seed(3))
    assert not torch.allclose(augmented, normalize_images(images), atol=0.05)
    moves = name in ("flip", "scale", "closer", "aspect", "shift", "degrees")
    assert torch.allclose(places, keypoints, atol=1e-5) is not moves


def test_reduced_images_keep_their_size() -> None:
    images = torch.rand(2, 3, *SIZE, generator=Generator().manual_seed(0))
    for factor in (2, 3):
        assert reduce_resolution(images, factor).shape == images.shape
        assert reduce_resolution(images, factor).var() < images.var() / 2


def test_occluding_rectangles_are_a_part_of_chosen_images() -> None:
    images = torch.stack([torch.full((3, *SIZE), v) for v in (0.1, 0.2, 0.3, 0.4)])
    chosen = torch.tensor([True, True, True, False])[:, None, None, None]
    hidden = occlude(images, chosen, Generator().manual_seed(0))
    share = (hidden != images).any(1).float().mean(dim=(1, 2))
    assert ((share[:3] > 0.005) & (share[:3] <= 0.3)).all()
    assert share[3] == 0
