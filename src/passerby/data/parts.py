"""Part pictures: pose → every joint → rectangles → crops.

A :class:`PartCutter` holds what is chosen about that. Rectangles depend on poses only and may be kept; crops are made
of every batch anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.data.canonical import LEAST_CONFIDENCE, CanonicalPoses
from passerby.data.pedestrians.labels import JOINTS
from passerby.data.poses import PoseEstimator, Poses
from passerby.data.regions import OVERLAP, are_upright, body_regions, clamped, horizontal_strips
from passerby.errors import ConfigError, ShapeError, UnknownNameError

By = Literal["pose", "strips"]
SIZE = (96, 192)
"""(height, width) of a part in Yang et al.: a quarter of the whole picture's height."""


class Rectangles(NamedTuple):
    """Of a batch, in pixels: left, top, right, bottom."""

    whole: NDArray[np.float32]
    """``(b, 4)``: the aligned person, R_0; the whole picture where parts are strips."""
    parts: NDArray[np.float32]
    """``(b, 4, 4)``."""
    fallen_back: NDArray[np.bool_]
    """``(b,)``: who was cut by the mean pose, because no joint was found or they stood upside down."""


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
    size: tuple[int, int] = SIZE
    canonical: CanonicalPoses | None = None
    least_confidence: float = LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise UnknownNameError("way to cut parts", self.by, get_args(By))
        if self.by == "pose" and self.canonical is None:
            raise ConfigError(
                "parts by pose need canonical poses for missing joints; give "
                "passerby.data.canonical.shipped_canonical_poses() or your own"
            )

    def rectangles(self, poses: Poses, size: tuple[int, int]) -> Rectangles:
        """Where the parts lie in pictures of ``size`` (height, width)."""
        if self.canonical is None or self.by == "strips":
            n = len(poses.joints)
            whole = np.tile(np.array([0, 0, size[1], size[0]], np.float32), (n, 1))
            return Rectangles(whole, horizontal_strips(n, size).astype(np.float32), np.zeros(n, np.bool_))
        joints = self.canonical.fill(poses, least=self.least_confidence)
        found = (poses.confidence >= self.least_confidence).any(axis=1) & are_upright(joints)
        joints = np.where(found[:, None, None], joints, self.canonical.mean)
        pixels = joints * np.array(size[::-1], np.float32)
        regions = clamped(body_regions(pixels, overlap=self.overlap), size).astype(np.float32)
        return Rectangles(regions[:, 0], regions[:, 1:], ~found)

    def cut(self, images: Tensor, rectangles: NDArray[np.float32]) -> Tensor:
        """The parts ``(b, 4, 3, h, w)`` of pictures ``(b, 3, H, W)`` at rectangles ``(b, 4, 4)``."""
        return crop_parts(images, torch.from_numpy(rectangles), self.size)


@dataclass(frozen=True)
class PartMaker:
    """Pictures in, parts out: poses are asked of ``poses``, and not at all where parts are strips."""

    cutter: PartCutter
    poses: PoseEstimator | None = None

    def __post_init__(self) -> None:
        if self.cutter.by == "pose" and self.poses is None:
            raise ConfigError("parts by pose need somebody who knows the joints; name poses, or cut strips")

    def rectangles(self, names: Sequence[str], images: Tensor) -> NDArray[np.float32]:
        """``(b, 4, 4)``: where the parts lie in pictures ``(b, 3, h, w)``, uint8, called ``names``."""
        height, width = images.shape[2:]
        poses = _no_poses(len(names)) if self.poses is None else self.poses(names, images)
        return self.cutter.rectangles(poses, (height, width)).parts

    def __call__(self, names: Sequence[str], images: Tensor) -> Tensor:
        """The parts ``(b, 4, 3, y, x)`` of pictures ``(b, 3, h, w)``, both uint8."""
        return self.cutter.cut(images, self.rectangles(names, images))


def _no_poses(b: int) -> Poses:
    return Poses(np.zeros((b, len(JOINTS), 2), np.float32), np.zeros((b, len(JOINTS)), np.float32))


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
    centre = start[:, None, None] + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale
    pixel = torch.arange(length, device=start.device) + 0.5
    weights = (1 - (pixel - centre).abs() / scale.clamp_min(1)).clamp_min(0)
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
            "(passerby.data.regions.clamped)"
        )
