"""uint8 images → what networks take: float32 with the mean and standard deviation of ImageNet's channels.

This is all of image processing that inference needs beside decoding, so it stands apart from augmentation and its
imports. A run records which normalization its network was trained with, and everything that calls the network uses it.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float, Real
from torch import Tensor

from passerby.errors import UnknownNameError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Normalization = Literal["imagenet", "imagenet_mean", "image_mean", "half"]
"""A normalization of images.

``imagenet``: subtract ImageNet's channel means and divide by its deviations; ``imagenet_mean``: subtract them alone;
``image_mean``: subtract each image's own channel means; ``half``: subtract 0.5 and divide by 0.5, as for Vision
Transformers. Values are in [0, 1]. In [0, 255] the subtraction would give 255 times as much, which the batch
normalization after a network's first convolution takes out again. A part of an image is an image of its own.
"""


def normalize_images(
    images: Real[Tensor, "b 3 h w"], normalization: Normalization = "imagenet"
) -> Float[Tensor, "b 3 h w"]:
    """Return images with values 0 to 255 as float32, (image ÷ 255 − mean) ÷ standard deviation per channel.

    Raises:
        UnknownNameError: for another normalization than :data:`Normalization` lists.
    """
    check_normalization(normalization)
    values = (images.float() / 255).flatten(2)  # (b, 3, h·w)
    mean, std = (torch.tensor(v, device=images.device)[:, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    if normalization == "half":
        values = 2 * values - 1
    elif normalization == "image_mean":
        values = values - values.mean(dim=2, keepdim=True)
    else:
        values = (values - mean) / std if normalization == "imagenet" else values - mean
    normalized: Tensor = values.unflatten(2, images.shape[2:])
    return normalized


def check_normalization(name: str) -> None:
    """Check that a normalization exists.

    Raises:
        UnknownNameError: if it does not.
    """
    if name not in get_args(Normalization):
        raise UnknownNameError("normalization", name, get_args(Normalization))


def normalize_parts(
    parts: Real[Tensor, "b p 3 y x"], normalization: Normalization = "imagenet"
) -> Float[Tensor, "b p 3 y x"]:
    """Return parts with values 0 to 255, normalized as :func:`normalize_images` does."""
    normalized: Tensor = normalize_images(parts.flatten(0, 1), normalization).unflatten(0, parts.shape[:2])
    return normalized
