"""Part images: crops against Pillow, and the way from poses to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from passerby.data.keypoints.canonical import CanonicalPoses, shipped_canonical_poses
from passerby.data.keypoints.crops import PartCutter, _weights, crop_parts
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.regions import body_regions, clamp_rectangles
from passerby.errors import ConfigError, ShapeError, UnknownNameError

SIZE = (48, 24)
RECTANGLES = [[0.0, 0.0, 24.0, 48.0], [2.3, 5.6, 21.9, 44.1], [3.5, 10.25, 7.0, 11.5], [23.0, 0.0, 24.0, 1.0]]


def random_images(b: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    numbers = torch.rand(b, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 255
    return numbers.to(dtype)


def by_pillow(image: Tensor, rectangle: list[float], size: tuple[int, int]) -> Tensor:
    box = (rectangle[0], rectangle[1], rectangle[2], rectangle[3])
    channels = [
        np.asarray(Image.fromarray(c.numpy()).resize(size[::-1], Image.Resampling.BILINEAR, box=box)) for c in image
    ]
    return torch.from_numpy(np.stack(channels))


@pytest.mark.parametrize("size", [(12, 24), (5, 3), (60, 50)])
def test_crops_are_pillows(size: tuple[int, int]) -> None:
    images = random_images()
    parts = crop_parts(images, torch.tensor([RECTANGLES, RECTANGLES[::-1]]), size)
    assert parts.shape == (2, 4, 3, *size)
    for i in range(4):
        assert torch.allclose(parts[0, i], by_pillow(images[0], RECTANGLES[i], size), atol=1e-2)
        assert torch.allclose(parts[1, i], by_pillow(images[1], RECTANGLES[3 - i], size), atol=1e-2)


def by_dense_weights(images: Tensor, rectangles: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop with every pixel's weight, most of which are 0."""
    height, width = images.shape[2:]
    b, p, _ = rectangles.shape
    left, top, right, bottom = rectangles.reshape(b * p, 4).T
    rows = _weights(top, bottom, height, size[0]).view(b, p, 1, size[0], height)
    columns = _weights(left, right, width, size[1]).view(b, p, 1, size[1], width)
    return rows @ images.float()[:, None] @ columns.transpose(3, 4)


@pytest.mark.parametrize("size", [(12, 24), (5, 3), (60, 50), (48, 24)])
def test_pixels_without_weight_change_nothing(size: tuple[int, int]) -> None:
    images, generator = random_images(6, torch.uint8), np.random.default_rng(1)
    corners = np.sort(generator.uniform(0, 1, (6, 5, 2, 2)), axis=2) * [SIZE[1], SIZE[0]]
    corners[:, :, 1] = np.maximum(corners[:, :, 1], corners[:, :, 0] + 0.5).clip(0, [SIZE[1], SIZE[0]])
    corners[:, :, 0] = np.minimum(corners[:, :, 0], corners[:, :, 1] - 0.5)
    corners[:, 0] = [[0, 0], [SIZE[1], SIZE[0]]]
    rectangles = torch.from_numpy(corners.reshape(6, 5, 4)).float()
    exact = by_dense_weights(images, rectangles, size)
    assert torch.equal(crop_parts(images, rectangles, size), exact.round().clamp(0, 255).to(torch.uint8))
    assert torch.allclose(crop_parts(images.float(), rectangles, size), exact, atol=1e-4)


def test_no_image_has_no_crops() -> None:
    assert crop_parts(torch.zeros(0, 3, *SIZE), torch.zeros(0, 4, 4), (12, 24)).shape == (0, 4, 3, 12, 24)


def test_bytes_stay_bytes() -> None:
    images = random_images(dtype=torch.uint8)
    parts = crop_parts(images, torch.tensor([RECTANGLES] * 2), (12, 24))
    assert parts.dtype == torch.uint8
    exact = crop_parts(images.float(), torch.tensor([RECTANGLES] * 2), (12, 24))
    assert (parts.float() - exact).abs().max() <= 0.5


def test_whole_pixels_at_their_own_size_are_copied() -> None:
    images = random_images()
    assert torch.allclose(
        crop_parts(images, torch.tensor([[[4.0, 8, 14, 18]]] * 2), (10, 10))[:, 0], images[:, :, 8:18, 4:14]
    )


@pytest.mark.usefixtures("_no_shape_checker")
def test_rectangles_that_do_not_fit_are_errors() -> None:
    images = random_images()
    for wrong in ([-1.0, 0, 5, 5], [0, 0, 25, 5], [0, 0, 5, 49], [5, 5, 5, 9], [5, 9, 9, 5], [float("nan"), 0, 1, 1]):
        with pytest.raises(ShapeError, match=r"is empty or extends beyond an image of 48×24\. Fix: clamp"):
            crop_parts(images, torch.tensor([[wrong]] * 2), (4, 4))
    with pytest.raises(ShapeError, match=r"got \(2, 3, 48, 24\) and \(1, 1, 4\)"):
        crop_parts(images, torch.tensor([[[0.0, 0, 5, 5]]]), (4, 4))
    with pytest.raises(ShapeError, match=r"got \(3, 48, 24\)"):
        crop_parts(images[0], torch.tensor([[[0.0, 0, 5, 5]]]), (4, 4))


def standing(b: int = 3) -> Keypoints:
    keypoints = np.repeat(shipped_canonical_poses().poses[:1], b, axis=0)
    return Keypoints(keypoints, np.ones((b, 18), np.float32))


def cutter(**options: object) -> PartCutter:
    return PartCutter(canonical=shipped_canonical_poses(), size=(12, 24), **options)  # type: ignore[arg-type]


def test_rectangles_are_the_papers_in_pixels_of_the_image() -> None:
    keypoints = standing()
    found = cutter(overlap=3 / 48).rectangles(keypoints, SIZE)
    expected = clamp_rectangles(body_regions(keypoints.xy * np.array([24, 48]), overlap=3 / 48), SIZE)
    assert np.allclose(found.whole, expected[:, 0], atol=1e-4)
    assert np.allclose(found.parts, expected[:, 1:], atol=1e-4)
    assert not found.by_mean_pose.any()


def test_parts_of_a_batch() -> None:
    found = cutter().rectangles(standing(2), SIZE)
    whole, parts = cutter().cut(random_images(), found.regions)
    assert (whole.shape, parts.shape) == ((2, 3, *SIZE), (2, 4, 3, 12, 24))
    heights = found.parts[0, :, 3] - found.parts[0, :, 1]
    assert (heights > 3).all()
    assert (np.diff(found.parts[0, :, 1]) > 0).all()  # top to bottom


def test_the_whole_body_is_aligned_unless_strips_are_cut_or_it_is_not_wished() -> None:
    images, keypoints = random_images(), standing(2)
    keypoints.xy[:] = 0.1 + 0.8 * keypoints.xy  # a person with a margin
    aligned = cutter().rectangles(keypoints, SIZE)
    left, top, right, bottom = aligned.whole[0].tolist()
    assert (left, top) > (0, 0)
    assert right < SIZE[1]
    assert bottom < SIZE[0]
    whole = cutter().cut(images, aligned.regions).whole
    assert torch.allclose(whole[0, 0], by_pillow(images[0], aligned.whole[0].tolist(), SIZE)[0], atol=1e-2)
    for other in (cutter(align=False), cutter(by="strips")):
        found = other.rectangles(keypoints, SIZE)
        assert found.whole.tolist() == [[0, 0, 24, 48]] * 2
        assert other.cut(images, found.regions).whole is images
    assert np.array_equal(cutter(align=False).rectangles(keypoints, SIZE).parts, aligned.parts)


def test_a_missing_keypoint_is_filled() -> None:
    keypoints = standing(1)
    keypoints.confidence[0, 9:11] = 0.05
    keypoints.xy[0, 9:11] = 0
    found, whole = cutter().rectangles(keypoints, SIZE), cutter().rectangles(standing(1), SIZE)
    assert np.allclose(found.parts, whole.parts, atol=1e-3)
    strict = cutter(least_confidence=0.01).rectangles(keypoints, SIZE)
    assert not np.allclose(strict.parts, whole.parts, atol=1)


def test_who_has_no_usable_pose_is_cut_by_the_mean_and_said_so() -> None:
    keypoints = standing(3)
    keypoints.confidence[1] = 0
    keypoints.xy[2, :, 1] = 1 - keypoints.xy[2, :, 1]  # head down
    found = cutter().rectangles(keypoints, SIZE)
    assert found.by_mean_pose.tolist() == [False, True, True]
    mean = body_regions(shipped_canonical_poses().mean[None] * np.array([24, 48]))
    assert np.allclose(found.parts[1:], clamp_rectangles(mean, SIZE)[:, 1:].repeat(2, axis=0), atol=1e-4)


def test_strips_need_no_canonical_poses_and_no_keypoints() -> None:
    found = PartCutter(by="strips").rectangles(
        Keypoints(np.zeros((2, 18, 2), np.float32), np.zeros((2, 18), np.float32)), SIZE
    )
    assert found.parts[1].tolist() == [[0, 0, 24, 12], [0, 12, 24, 24], [0, 24, 24, 36], [0, 36, 24, 48]]
    assert found.whole[1].tolist() == [0, 0, 24, 48]
    assert not found.by_mean_pose.any()
    assert PartCutter(by="strips").size == (96, 192)


def test_a_head_is_cut_down_to_the_neck_or_the_face() -> None:
    keypoints = standing(1)
    for head in ("neck", "face"):
        found = cutter(head=head).rectangles(keypoints, SIZE).regions
        expected = clamp_rectangles(body_regions(keypoints.xy * np.array([24, 48]), head=head), SIZE)
        assert np.allclose(found, expected, atol=1e-4)
    assert cutter().head == "neck"


def test_what_a_cutter_needs() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean neck"):
        cutter(head="neckline")
    with pytest.raises(ConfigError, match="need canonical poses"):
        PartCutter()
    with pytest.raises(UnknownNameError, match="Did you mean strips"):
        PartCutter(by="strip")  # type: ignore[arg-type]


def test_a_canonical_pose_of_ones_own() -> None:
    own = CanonicalPoses(shipped_canonical_poses().poses[3:4], np.ones(1, np.float32))
    empty = Keypoints(np.zeros((1, 18, 2), np.float32), np.zeros((1, 18), np.float32))
    found = PartCutter(canonical=own).rectangles(empty, SIZE)
    assert np.allclose(
        found.whole, clamp_rectangles(body_regions(own.poses * np.array([24, 48])), SIZE)[:, 0], atol=1e-4
    )
