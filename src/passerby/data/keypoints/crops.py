"""Crop the whole body and its parts: keypoints → missing ones filled → rectangles → crops.

A :class:`PartCutter` holds the options. Rectangles depend on keypoints only and may be kept; crops are made for every
batch anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Real, UInt8
from numpy.typing import NDArray
from torch import Tensor

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
    rows = _weights(top, bottom, images.shape[2], size[0]).view(b, p, 1, size[0], -1)
    columns = _weights(left, right, images.shape[3], size[1]).view(b, p, 1, size[1], -1)
    parts = rows @ floats[:, None] @ columns.transpose(3, 4)  # (b, p, 3, h, w)
    return parts if images.is_floating_point() else parts.round().clamp(0, 255).to(images.dtype)


def _weights(
    start: Float[Tensor, " n"], end: Float[Tensor, " n"], length: int, out: int
) -> Float[Tensor, "n out length"]:
    """Return the weight of each pixel in each output pixel: a triangle of the scale's width."""
    scale = ((end - start) / out)[:, None, None]
    center = start[:, None, None] + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale
    pixel = torch.arange(length, device=start.device) + 0.5
    weights = (1 - (pixel - center).abs() / scale.clamp_min(1)).clamp_min(0)
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
