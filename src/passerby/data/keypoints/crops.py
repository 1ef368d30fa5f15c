"""Crop the whole body and its parts: keypoints → missing ones filled → rectangles → crops.

A :class:`PartCutter` holds the options. Rectangles depend on keypoints only and may be kept; crops are made for every
batch anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Real, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from passerby.data.datasets.layout import preview
from passerby.data.keypoints.canonical import LEAST_CONFIDENCE, CanonicalPoses
from passerby.data.keypoints.estimator import Keypoints, PoseEstimator
from passerby.data.keypoints.regions import (
    OVERLAP,
    Head,
    are_upright,
    body_regions,
    check_head,
    clamp_rectangles,
    horizontal_strips,
)
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, ShapeError, UnknownNameError

By = Literal["pose", "strips"]
SIZE = (96, 192)
"""The size (height, width) of a part in Yang et al.: a quarter of the image's height."""
_LOG = logging.getLogger(__name__)


class Rectangles(NamedTuple):
    """The rectangles of b images, in pixels: left, top, right, bottom."""

    regions: NDArray[np.float32]
    """The whole body, then its parts, ``(b, 5, 4)``."""
    by_mean_pose: NDArray[np.bool_]
    """A flag ``(b,)`` of images cropped by the mean pose: no keypoint was found, or the body is upside down.

    Code that crops many images logs their number at the end (:func:`warn_mean_pose`).
    """

    @property
    def whole(self) -> NDArray[np.float32]:
        """The aligned person R_0, ``(b, 4)``; or the whole image, if parts are strips or nothing is aligned."""
        return self.regions[:, 0]

    @property
    def parts(self) -> NDArray[np.float32]:
        """The rectangles of the parts, ``(b, 4, 4)``."""
        return self.regions[:, 1:]

    def names_by_mean_pose(self, names: Sequence[str]) -> list[str]:
        """Return those of the images' ``names`` that were cropped by the mean pose."""
        return [names[row] for row in np.flatnonzero(self.by_mean_pose).tolist()]


class Cut(NamedTuple):
    """The input of a model that takes parts, of the images' dtype."""

    whole: Real[Tensor, "b 3 H W"]
    """The whole bodies, as large as the images."""
    parts: Real[Tensor, "b 4 3 h w"]
    """The parts."""


@dataclass(frozen=True, kw_only=True)
class PartCutter:
    """The options of cropping parts.

    Raises:
        ConfigError: if parts are cropped by pose and there are no canonical poses.
    """

    by: By = "pose"
    """The way to crop: by ``pose``, or four fixed ``strips`` (the paper's baseline)."""
    overlap: float = OVERLAP
    """The overlap β, a share of the body's height."""
    head: Head = "neck"
    """The extent of the head: to the ``neck``, or the ``face`` alone, which cuts most crowns."""
    align: bool = True
    """Crop the whole body by pose too, as R_0 (Fig 3); else it is the whole image, as with strips."""
    size: tuple[int, int] = SIZE
    canonical: CanonicalPoses | None = None
    least_confidence: float = LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise UnknownNameError("way to crop parts", self.by, get_args(By))
        check_head(self.head)
        if self.by == "pose" and self.canonical is None:
            raise ConfigError(
                "parts by pose need canonical poses for missing keypoints. Fix: give "
                "passerby.data.keypoints.canonical.shipped_canonical_poses() or your own"
            )

    def rectangles(self, keypoints: Keypoints, size: tuple[int, int]) -> Rectangles:
        """Return the rectangles in images of ``size`` (height, width)."""
        if self.canonical is None or self.by == "strips":
            n = len(keypoints.xy)
            strips = np.concatenate([_whole_images(n, size), horizontal_strips(n, size)], axis=1)
            return Rectangles(strips.astype(np.float32), np.zeros(n, np.bool_))
        filled = self.canonical.fill(keypoints, least=self.least_confidence)
        found = (keypoints.confidence >= self.least_confidence).any(axis=1) & are_upright(filled, head=self.head)
        filled = np.where(found[:, None, None], filled, self.canonical.mean)
        pixels = filled * np.array(size[::-1], np.float32)
        unclamped = body_regions(pixels, overlap=self.overlap, head=self.head)
        regions = clamp_rectangles(unclamped, size).astype(np.float32)
        if not self.align:
            regions[:, :1] = _whole_images(len(regions), size)
        return Rectangles(regions, ~found)

    def cut(self, images: Real[Tensor, "b 3 H W"], regions: NDArray[np.float32]) -> Cut:
        """Crop the whole body and the parts of images at rectangles ``(b, 5, 4)``."""
        rectangles, whole = torch.from_numpy(regions), images
        if self.by == "pose" and self.align:
            whole = crop_parts(images, rectangles[:, :1], (images.shape[2], images.shape[3]))[:, 0]
        return Cut(whole, crop_parts(images, rectangles[:, 1:], self.size))


@dataclass(frozen=True)
class PartMaker:
    """A function from images to whole bodies and parts, by the keypoints of an estimator; strips need none."""

    cutter: PartCutter
    estimator: PoseEstimator | None = None

    def __post_init__(self) -> None:
        if self.cutter.by == "pose" and self.estimator is None:
            raise ConfigError("parts by pose need a keypoint source. Fix: name one, or use strips")

    def rectangles(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Rectangles:
        """Return the rectangles in images with ``names``."""
        height, width = images.shape[2:]
        keypoints = _no_keypoints(len(names)) if self.estimator is None else self.estimator(names, images)
        return self.cutter.rectangles(keypoints, (height, width))

    def __call__(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Cut:
        """Return the input of a model for images with ``names``."""
        return self.cutter.cut(images, self.rectangles(names, images).regions)


def warn_mean_pose(place: str, names: Sequence[str], total: int) -> None:
    """Log a warning if images were cropped by the mean pose (Python prints it without any configuration).

    Args:
        place: the path of the images.
        names: the names of those that were cropped so.
        total: the number of all images.
    """
    if names:
        _warn_mean_pose(place, len(names), total, preview(names))


@lru_cache(maxsize=1024)
def _warn_mean_pose(place: str, count: int, total: int, names: str) -> None:
    """Warn once for the same images, which a training evaluates after many epochs."""
    _LOG.warning(
        "%s: %s of %s images were cropped by the mean pose, since no keypoint was found or the body is upside down "
        "(%s); their parts may lie beside the body (--keypoints or parts.keypoints names another keypoint source)",
        place,
        f"{count:,}",
        f"{total:,}",
        names,
    )


def _whole_images(n: int, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.tile(np.array([0, 0, size[1], size[0]], np.float32), (n, 1, 1))


def _no_keypoints(b: int) -> Keypoints:
    return Keypoints(np.zeros((b, len(KEYPOINT_NAMES), 2), np.float32), np.zeros((b, len(KEYPOINT_NAMES)), np.float32))


@torch.no_grad()
def crop_parts(
    images: Real[Tensor, "b 3 H W"], rectangles: Real[Tensor, "b p 4"], size: tuple[int, int]
) -> Real[Tensor, "b p 3 h w"]:
    """Crop rectangles of each image, resized by the antialiased bilinear filter of Pillow's ``resize(box=…)``.

    Args:
        images: uint8 or floating-point; the parts have the same dtype.
        rectangles: left, top, right, bottom in pixels, inside the images; fractions are fine.
        size: (height, width) of a part.

    Raises:
        ShapeError: for other shapes, or a rectangle that is empty or extends beyond its image.
    """
    _check_rectangles(images, rectangles)
    b, p, _ = rectangles.shape
    floats = images if images.is_floating_point() else images.float()
    left, top, right, bottom = rectangles.to(floats).reshape(b * p, 4).T
    lines = floats.permute(0, 2, 1, 3).flatten(2)  # (b, H, 3 W)
    rows = _mixed(lines, top, bottom, size[0]).view(b * p, size[0], 3, images.shape[3])  # (b p, h, 3, W)
    lines = rows.permute(0, 3, 2, 1).flatten(2)  # (b p, W, 3 h)
    parts = _mixed(lines, left, right, size[1]).view(b * p, size[1], 3, size[0])  # (b p, w, 3, h)
    if not images.is_floating_point():
        parts = parts.round_().clamp_(0, 255).to(images.dtype)
    return parts.permute(0, 2, 3, 1).reshape(b, p, 3, *size)


def _mixed(
    lines: Float[Tensor, "b length d"], start: Float[Tensor, " n"], end: Float[Tensor, " n"], out: int
) -> Float[Tensor, "n out d"]:
    """Return the weighted sums of lines that are the pixels of n intervals, the same number for every image.

    An output pixel has a few lines that count; only these are read.
    """
    b, length, _ = lines.shape
    places, weights = _taps(start, end, length, out)
    image = torch.arange(b, device=lines.device).repeat_interleave(len(start) // max(1, b))
    rows = places + length * image[:, None, None]
    mixed: Tensor = embedding_bag(
        rows.flatten(0, 1), lines.flatten(0, 1), per_sample_weights=weights.flatten(0, 1), mode="sum"
    )
    return mixed.view(len(start), out, lines.shape[2])


def _taps(
    start: Float[Tensor, " n"], end: Float[Tensor, " n"], length: int, out: int
) -> tuple[Int[Tensor, "n out t"], Float[Tensor, "n out t"]]:
    """Return the pixels that have a weight in each output pixel, and their weights; a few have none."""
    center, reach = _windows(start, end, out)
    count = math.ceil(2 * float(reach.max())) + 1 if len(reach) else 1
    places = (center - reach - 0.5).floor()[:, :, None].long() + torch.arange(count, device=start.device)
    inside = (places >= 0) & (places < length)
    places = places.clamp(0, length - 1)
    return places, _weights(start, end, length, out).gather(2, places) * inside


def _windows(
    start: Float[Tensor, " n"], end: Float[Tensor, " n"], out: int
) -> tuple[Float[Tensor, "n out"], Float[Tensor, "n 1"]]:
    """Return the center of each output pixel, and how far from it pixels count."""
    scale = ((end - start) / out)[:, None]
    center = start[:, None] + (torch.arange(out, device=start.device) + 0.5) * scale
    return center, scale.clamp_min(1)


def _weights(
    start: Float[Tensor, " n"], end: Float[Tensor, " n"], length: int, out: int
) -> Float[Tensor, "n out length"]:
    """Return the weight of each pixel in each output pixel: a triangle of the scale's width."""
    center, reach = _windows(start, end, out)
    pixel = torch.arange(length, device=start.device) + 0.5
    weights = (1 - (pixel - center[:, :, None]).abs() / reach[:, :, None]).clamp_min(0)
    return weights / weights.sum(dim=2, keepdim=True)


def _check_rectangles(images: Tensor, rectangles: Tensor) -> None:
    if images.ndim != 4 or rectangles.ndim != 3 or rectangles.shape[2] != 4 or len(images) != len(rectangles):
        raise ShapeError(
            "expected images (b, 3, height, width) and rectangles (b, parts, 4); got "
            f"{tuple(images.shape)} and {tuple(rectangles.shape)}"
        )
    height, width = images.shape[2:]
    left, top, right, bottom = rectangles.unbind(2)
    fits = (left >= 0) & (top >= 0) & (right <= width) & (bottom <= height) & (left < right) & (top < bottom)
    if not bool(fits.all()):
        worst = rectangles[~fits][0].tolist()
        raise ShapeError(
            f"rectangle {worst} is empty or extends beyond an image of {height}×{width}. Fix: clamp rectangles first "
            "(passerby.data.keypoints.regions.clamp_rectangles)"
        )
