"""The overlays of heatmaps over images."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from passerby.explain.upsample import scale_to_unit, upsample_maps
from passerby.figures.style import HEAT

ALPHA = 0.55
"""The weight of the map in an overlay."""
_SHARP = 480
"""The height in pixels to which an image is enlarged under a map."""


def overlay_heatmap(image: Image.Image, values: Float[Tensor, "h w"], *, alpha: float = ALPHA) -> Image.Image:
    """Lay a map of any size over a gray image, its least value dark and its greatest bright (:data:`~.style.HEAT`)."""
    whole = upsample_maps(values.detach().cpu()[None], (image.height, image.width))[0]
    colors: NDArray[np.float64] = colormaps[HEAT](scale_to_unit(whole).numpy())[..., :3]
    gray = np.asarray(image.convert("L").convert("RGB"), np.float64) / 255
    return Image.fromarray(np.uint8(np.round(255 * ((1 - alpha) * gray + alpha * colors))))


def enlarge_with_heatmap(image: Image.Image, values: Float[Tensor, "h w"], *, smooth: bool = True) -> Image.Image:
    """Enlarge an image and lay a map over it; where the map is NaN, the image is gray.

    Args:
        smooth: whether to interpolate between cells; else each cell has one color, as a binary map needs it.
    """
    large = image.resize((round(image.width * _SHARP / image.height), _SHARP), Image.Resampling.LANCZOS)
    if not smooth:
        values = interpolate(values[None, None].float(), size=(large.height, large.width), mode="nearest-exact")[0, 0]
    known = ~values.isnan()
    if bool(known.all()):
        return overlay_heatmap(large, values)
    hot = overlay_heatmap(large, values.where(known, values[known].min() if bool(known.any()) else torch.zeros(())))
    mask = Image.fromarray(np.uint8(255 * known.numpy())).resize(large.size, Image.Resampling.NEAREST)
    return Image.composite(hot, large.convert("L").convert("RGB"), mask)
