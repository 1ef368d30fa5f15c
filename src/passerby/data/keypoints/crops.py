"""Pictures of the whole body and of its parts: pose → every joint → rectangles → crops.

A :class:`PartCutter` holds what is chosen about that. Rectangles depend on poses only and may be kept; crops are made
of every batch anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.data.datasets.layout import preview
from passerby.data.keypoints.canonical import LEAST_CONFIDENCE, CanonicalPoses
from passerby.data.keypoints.estimator import Keypoints, PoseEstimator
from passerby.data.keypoints.regions import OVERLAP, are_upright, body_regions, clamp_rectangles, horizontal_strips
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, ShapeError, UnknownNameError

By = Literal["pose", "strips"]
SIZE = (96, 192)
"""(height, width) of a part in Yang et al.: a quarter of the whole picture's height."""
_LOG = logging.getLogger(__name__)


class Rectangles(NamedTuple):
    """Of a batch, in pixels: left, top, right, bottom."""

    regions: NDArray[np.float32]
    """``(b, 5, 4)``: the whole body, then its parts."""
    by_mean_pose: NDArray[np.bool_]
    """``(b,)``: who was cut by the mean pose, because no joint was found or they stood upside down.

    Whoever cuts many pictures says so at the end (:func:`warn_mean_pose`).
    """

    @property
    def whole(self) -> NDArray[np.float32]:
        """``(b, 4)``: the aligned person, R_0; or the whole picture, where that is asked for or parts are strips."""
        return self.regions[:, 0]

    @property
    def parts(self) -> NDArray[np.float32]:
        """``(b, 4, 4)``."""
        return self.regions[:, 1:]

    def fallen(self, names: Sequence[str]) -> list[str]:
        """Those of the pictures called ``names`` that were cut by the mean pose."""
        return [names[row] for row in np.flatnonzero(self.by_mean_pose).tolist()]


class Cut(NamedTuple):
    """What a model that sees parts is shown, of the pictures' type."""

    whole: Tensor
    """``(b, 3, H, W)``, as large as the pictures."""
    parts: Tensor
    """``(b, 4, 3, h, w)``."""


@dataclass(frozen=True, kw_only=True)
class PartCutter:
    """From poses to part pictures.

    Raises:
        ConfigError: if parts are cut by pose and there are no canonical poses.
    """

    by: By = "pose"
    """``strips``: four fixed ones, whatever the pose (the paper's baseline)."""
    overlap: float = OVERLAP
    """β as a part of the body's height."""
    align: bool = True
    """Whether the whole body is cut by pose too, as R_0 (Fig 3); else it is the whole picture, as it is with strips."""
    size: tuple[int, int] = SIZE
    canonical: CanonicalPoses | None = None
    least_confidence: float = LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise UnknownNameError("way to cut parts", self.by, get_args(By))
        if self.by == "pose" and self.canonical is None:
            raise ConfigError(
                "parts by pose need canonical poses for missing joints; give "
                "passerby.data.keypoints.canonical.shipped_canonical_poses() or your own"
            )

    def rectangles(self, keypoints: Keypoints, size: tuple[int, int]) -> Rectangles:
        """Where the parts lie in pictures of ``size`` (height, width)."""
        if self.canonical is None or self.by == "strips":
            n = len(keypoints.xy)
            strips = np.concatenate([_whole_pictures(n, size), horizontal_strips(n, size)], axis=1)
            return Rectangles(strips.astype(np.float32), np.zeros(n, np.bool_))
        filled = self.canonical.fill(keypoints, least=self.least_confidence)
        found = (keypoints.confidence >= self.least_confidence).any(axis=1) & are_upright(filled)
        filled = np.where(found[:, None, None], filled, self.canonical.mean)
        pixels = filled * np.array(size[::-1], np.float32)
        regions = clamp_rectangles(body_regions(pixels, overlap=self.overlap), size).astype(np.float32)
        if not self.align:
            regions[:, :1] = _whole_pictures(len(regions), size)
        return Rectangles(regions, ~found)

    def cut(self, images: Tensor, regions: NDArray[np.float32]) -> Cut:
        """The whole body and the parts of pictures ``(b, 3, H, W)`` at rectangles ``(b, 5, 4)``."""
        rectangles, whole = torch.from_numpy(regions), images
        if self.by == "pose" and self.align:
            whole = crop_parts(images, rectangles[:, :1], (images.shape[2], images.shape[3]))[:, 0]
        return Cut(whole, crop_parts(images, rectangles[:, 1:], self.size))


@dataclass(frozen=True)
class PartMaker:
    """Pictures in, whole bodies and parts out: ``poses`` is asked for poses, and not at all where parts are strips."""

    cutter: PartCutter
    estimator: PoseEstimator | None = None

    def __post_init__(self) -> None:
        if self.cutter.by == "pose" and self.estimator is None:
            raise ConfigError("parts by pose need somebody who knows the joints; name poses, or cut strips")

    def rectangles(self, names: Sequence[str], images: Tensor) -> Rectangles:
        """Where body and parts lie in pictures ``(b, 3, h, w)``, uint8, called ``names``."""
        height, width = images.shape[2:]
        keypoints = _no_keypoints(len(names)) if self.estimator is None else self.estimator(names, images)
        return self.cutter.rectangles(keypoints, (height, width))

    def __call__(self, names: Sequence[str], images: Tensor) -> Cut:
        """What a model is shown of pictures ``(b, 3, h, w)``, uint8."""
        return self.cutter.cut(images, self.rectangles(names, images).regions)


def warn_mean_pose(place: str, fallen: Sequence[str], total: int) -> None:
    """Where pictures were cut by the mean pose, a line of the log (which Python prints, if nobody asked for more).

    Args:
        place: where the pictures are.
        fallen: what those are called that were cut so.
        total: how many were cut in all.
    """
    if fallen:
        _warn_mean_pose(place, len(fallen), total, preview(fallen))


@lru_cache(maxsize=1024)
def _warn_mean_pose(place: str, fallen: int, total: int, names: str) -> None:
    """Once for the same pictures, which a training evaluates after many epochs."""
    _LOG.warning(
        "%s: %s of %s pictures were cut by the mean pose, since no joint was found in them or they show a body upside "
        "down (%s); their parts may lie beside the body (--poses or parts.keypoints says who knows the joints)",
        place,
        f"{fallen:,}",
        f"{total:,}",
        names,
    )


def _whole_pictures(n: int, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.tile(np.array([0, 0, size[1], size[0]], np.float32), (n, 1, 1))


def _no_keypoints(b: int) -> Keypoints:
    return Keypoints(np.zeros((b, len(KEYPOINT_NAMES), 2), np.float32), np.zeros((b, len(KEYPOINT_NAMES)), np.float32))


@torch.no_grad()
def crop_parts(images: Tensor, rectangles: Tensor, size: tuple[int, int]) -> Tensor:
    """Rectangles of each picture, resized by the antialiased bilinear filter with which Pillow resizes a box.

    Args:
        images: ``(b, 3, H, W)``, uint8 or floating; the parts have the same type.
        rectangles: ``(b, p, 4)``: left, top, right, bottom in pixels, inside the pictures; they need not be whole.
        size: (height, width) of a part.

    Returns:
        ``(b, p, 3, height, width)``.

    Raises:
        ShapeError: for other shapes, or a rectangle that is empty or reaches out of its picture.
    """
    _refuse(images, rectangles)
    b, p, _ = rectangles.shape
    floats = images if images.is_floating_point() else images.float()
    left, top, right, bottom = rectangles.to(floats).reshape(b * p, 4).T
    rows = _weights(top, bottom, images.shape[2], size[0]).view(b, p, 1, size[0], -1)
    columns = _weights(left, right, images.shape[3], size[1]).view(b, p, 1, size[1], -1)
    parts = rows @ floats[:, None] @ columns.transpose(3, 4)  # (b, p, 3, h, w)
    return parts if images.is_floating_point() else parts.round().clamp(0, 255).to(images.dtype)


def _weights(start: Tensor, end: Tensor, length: int, out: int) -> Tensor:
    """``(n, out, length)``: how much each pixel counts in each output pixel; a triangle as wide as the reduction."""
    scale = ((end - start) / out)[:, None, None]
    center = start[:, None, None] + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale
    pixel = torch.arange(length, device=start.device) + 0.5
    weights = (1 - (pixel - center).abs() / scale.clamp_min(1)).clamp_min(0)
    return weights / weights.sum(dim=2, keepdim=True)


def _refuse(images: Tensor, rectangles: Tensor) -> None:
    if images.ndim != 4 or rectangles.ndim != 3 or rectangles.shape[2] != 4 or len(images) != len(rectangles):
        raise ShapeError(
            "wanted pictures (b, 3, height, width) and rectangles (b, parts, 4); got "
            f"{tuple(images.shape)} and {tuple(rectangles.shape)}"
        )
    height, width = images.shape[2:]
    left, top, right, bottom = rectangles.unbind(2)
    fits = (left >= 0) & (top >= 0) & (right <= width) & (bottom <= height) & (left < right) & (top < bottom)
    if not bool(fits.all()):
        worst = rectangles[~fits][0].tolist()
        raise ShapeError(
            f"rectangle {worst} is empty or reaches out of a picture of {height}×{width}; clamp rectangles first "
            "(passerby.data.keypoints.regions.clamped)"
        )
