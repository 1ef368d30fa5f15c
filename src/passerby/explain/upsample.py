"""TODO docstring."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from passerby.errors import ShapeError


def upsample_maps(maps: Float[Tensor, "b h w"], size: tuple[int, int]) -> Float[Tensor, "b y x"]:
    """Maps as large as pictures of ``size`` (height, width), bilinear between the centers of their cells.

    Raises:
        ShapeError: for another number of dimensions.
    """
    if maps.ndim != 3:
        raise ShapeError(f"wanted maps (b, h, w), got {tuple(maps.shape)}")
    return interpolate(maps[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def scale_to_unit(values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """From 0 (least) to 1 (most); all 0 where all are the same."""
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else torch.zeros_like(values)
