"""Maps over pictures."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from passerby.errors import ShapeError
from passerby.figures.style import HEAT

ALPHA = 0.55
"""How much of a heated picture is map."""


def enlarged(maps: Float[Tensor, "b h w"], size: tuple[int, int]) -> Float[Tensor, "b y x"]:
    """Maps as large as pictures of ``size`` (height, width), bilinear between the centres of their cells.

    Raises:
        ShapeError: for another number of dimensions.
    """
    if maps.ndim != 3:
        raise ShapeError(f"wanted maps (b, h, w), got {tuple(maps.shape)}")
    return interpolate(maps[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def unit(values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """From 0 (least) to 1 (most); all 0 where all are the same."""
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else torch.zeros_like(values)


def heated(image: Image.Image, values: Float[Tensor, "h w"], *, alpha: float = ALPHA) -> Image.Image:
    """A picture under a map of any size, its least value dark and its most bright (:data:`~.style.HEAT`)."""
    whole = enlarged(values.detach().cpu()[None], (image.height, image.width))[0]
    colours: NDArray[np.float64] = colormaps[HEAT](unit(whole).numpy())[..., :3]
    grey = np.asarray(image.convert("L").convert("RGB"), np.float64) / 255
    return Image.fromarray(np.uint8(np.round(255 * ((1 - alpha) * grey + alpha * colours))))
