"""A small pose network: an image of a person → 18 keypoints, each as two distributions over positions.

Sources: SimCC (Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV
2022): the horizontal and the vertical position of a keypoint are classified separately, into bins finer than a pixel,
from the flattened map of the keypoint; its Fig 2 → :class:`Readout`, its splitting factor k → ``bins``. The body is a
residual network (He et al., CVPR 2016, the block of its Fig 5 left) that returns to a quarter of the image size by
adding up-sampled maps to finer ones (Lin et al., "Feature Pyramid Networks", CVPR 2017, Fig 3).

*Deviations*: all layers are narrow, so that the network trains on a CPU in minutes; the readout is initialized as the
sum over rows or columns of the map (a keypoint's marginal distributions) instead of with noise; a further head predicts
whether a keypoint is in the image at all, since a detector's box may cut a person.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError
from passerby.models.pointwise import PointwiseConv

COARSEST = 16
"""The stride of the coarsest map, in pixels; image sides are multiples of it."""
STRIDE = 4
"""The stride of the map that keypoints are read from."""


class KeypointScores(NamedTuple):
    """The scores of each keypoint, before softmax or sigmoid."""

    x: Tensor
    """The scores of each column, ``(b, 18, width · bins)``."""
    y: Tensor
    """The scores of each row, ``(b, 18, height · bins)``."""
    inside: Tensor
    """The score of being in the image, visible or occluded: ``(b, 18)``."""


class PoseNetwork(nn.Module):
    """A network from normalized images ``(b, 3, h, w)`` of one fixed size to :class:`KeypointScores`.

    Args:
        size: image size as (height, width), multiples of 16.
        width: number of channels at half of that size; each halving doubles them.
        bins: number of bins per pixel, along either axis.

    Raises:
        ConfigError: for a size that is not a multiple of 16.
    """

    def __init__(self, *, size: tuple[int, int] = (128, 64), width: int = 20, bins: int = 2) -> None:
        super().__init__()
        if any(side < COARSEST or side % COARSEST for side in size):
            raise ConfigError(f"a pose network's height and width are multiples of {COARSEST}, got {size}")
        self.size, self.width, self.bins = size, width, bins
        c2, c4, c8, c16 = (width * factor for factor in (1, 2, 4, 8))
        self.stem = _conv(3, c2, stride=2)
        self.to4 = nn.Sequential(Residual(c2, c4, stride=2), Residual(c4, c4))
        self.to8 = nn.Sequential(Residual(c4, c8, stride=2), Residual(c8, c8))
        self.to16 = nn.Sequential(Residual(c8, c16, stride=2), Residual(c16, c16))
        self.back8, self.back4 = Merge(c16, c8), Merge(c8, c4)
        self.maps = nn.Conv2d(c4, len(KEYPOINT_NAMES), 7, padding=3)
        self.readout = Readout(tuple(side // STRIDE for side in size), bins=STRIDE * bins)
        self.inside = nn.Linear(c16, len(KEYPOINT_NAMES))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> KeypointScores:
        """Return the scores of the keypoints.

        Raises:
            ConfigError: for images of another size than the network's.
        """
        if tuple(images.shape[2:]) != self.size:
            raise ConfigError(f"this pose network reads images of {self.size}, got {tuple(images.shape[2:])}")
        at4 = self.to4(self.stem(images))
        at8 = self.to8(at4)
        at16 = self.to16(at8)
        maps = self.maps(self.back4(self.back8(at16, at8), at4))  # (b, 18, h/4, w/4)
        x, y = self.readout(maps)
        return KeypointScores(x, y, self.inside(at16.mean(dim=(2, 3))))


class Readout(nn.Module):
    """The readout from maps ``(b, k, h, w)`` to scores of columns ``(b, k, w · bins)`` and rows ``(b, k, h · bins)``.

    One pair of linear layers serves all keypoints. They are initialized as sums over rows and over columns,
    interpolated between the cells of the map.
    """

    def __init__(self, size: tuple[int, ...], *, bins: int) -> None:
        super().__init__()
        height, width = size
        self.x = nn.Linear(height * width, width * bins)
        self.y = nn.Linear(height * width, height * bins)
        between_columns, between_rows = _interpolation(width, bins), _interpolation(height, bins)
        with torch.no_grad():
            for layer, start in (
                (self.x, between_columns[:, None, :].expand(-1, height, -1) / height**0.5),
                (self.y, between_rows[:, :, None].expand(-1, -1, width) / width**0.5),
            ):
                layer.weight.copy_(start.reshape(layer.weight.shape))
                layer.bias.zero_()

    def forward(self, maps: Float[Tensor, "b k h w"]) -> tuple[Float[Tensor, "b k n"], Float[Tensor, "b k m"]]:
        flat = maps.flatten(2)
        return self.x(flat), self.y(flat)


def _interpolation(cells: int, bins: int) -> Float[Tensor, "n cells"]:
    """Return the weights with which ``cells · bins`` bins interpolate the cells nearest to them: each row sums to 1."""
    centers = (torch.arange(cells * bins) + 0.5) / bins - 0.5
    apart = (centers.clamp(0, cells - 1)[:, None] - torch.arange(cells)[None, :]).abs()
    return (1 - apart).clamp_min(0)


class Residual(nn.Module):
    """A block of two 3×3 convolutions with a shortcut, projected where the shape changes."""

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(c_in, c_out, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(PointwiseConv(c_in, c_out, stride), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Merge(nn.Module):
    """A coarse map, narrowed and doubled in size, added to a finer one; then a 3×3 convolution."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(coarse, fine, 1, bias=False), nn.BatchNorm2d(fine))
        self.smooth = _conv(fine, fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        merged: Tensor = self.smooth(F.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest") + fine)
        return merged


def _conv(c_in: int, c_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))
