"""uint8 images → what networks take: float32 with the mean and standard deviation of ImageNet's channels.

This is all of image processing that inference needs beside decoding, so it stands apart from augmentation and its
imports.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Real
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize_images(images: Real[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Return images with values 0 to 255 as float32, (image ÷ 255 − mean) ÷ standard deviation per channel."""
    mean, std = (torch.tensor(v, device=images.device)[:, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    values = (images.float() / 255).flatten(2)  # (b, 3, h·w)
    normalized: Tensor = ((values - mean) / std).unflatten(2, images.shape[2:])
    return normalized


def normalize_parts(parts: Real[Tensor, "b p 3 y x"]) -> Float[Tensor, "b p 3 y x"]:
    """Return parts with values 0 to 255, normalized as :func:`normalize_images` does."""
    normalized: Tensor = normalize_images(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
    return normalized
