"""Maps upsampled to the size of an image, and scaled to [0, 1]."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from passerby.errors import ShapeError


def upsample_maps(maps: Float[Tensor, "b h w"], size: tuple[int, int]) -> Float[Tensor, "b y x"]:
    """Upsample maps to ``size`` (height, width), bilinear between the centers of their cells.

    Raises:
        ShapeError: if the maps do not have three dimensions.
    """
    if maps.ndim != 3:
        raise ShapeError(f"maps have the wrong shape: got {tuple(maps.shape)}, expected (b, h, w)")
    return interpolate(maps[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def scale_to_unit(values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Scale a map to [0, 1]; a constant map becomes 0."""
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else torch.zeros_like(values)
