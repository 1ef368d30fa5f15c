"""Maps over pictures."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from passerby.explain.upsample import scale_to_unit, upsample_maps
from passerby.figures.style import HEAT

ALPHA = 0.55
"""How much of a heated picture is map."""


def overlay_heatmap(image: Image.Image, values: Float[Tensor, "h w"], *, alpha: float = ALPHA) -> Image.Image:
    """A picture under a map of any size, its least value dark and its most bright (:data:`~.style.HEAT`)."""
    whole = upsample_maps(values.detach().cpu()[None], (image.height, image.width))[0]
    colors: NDArray[np.float64] = colormaps[HEAT](scale_to_unit(whole).numpy())[..., :3]
    gray = np.asarray(image.convert("L").convert("RGB"), np.float64) / 255
    return Image.fromarray(np.uint8(np.round(255 * ((1 - alpha) * gray + alpha * colors))))
