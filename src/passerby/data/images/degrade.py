"""Degrade uint8 batches as cameras do: their color transfer, gray images, a soft lens and few pixels.

A network that is used behind cameras it was not trained on must not hold on to what these change.
"""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from kornia.color import rgb_to_grayscale
from kornia.filters import gaussian_blur2d
from torch import Generator, Tensor
from torch.nn import functional as F

from passerby.data.images.erase import uniform

BLUR = (0.5, 1.5)
"""The standard deviations of :func:`random_blur`, in pixels of an image 64 pixels wide."""
SHRINK = (0.3, 0.9)
"""The factors of :func:`random_shrink`."""


def random_tint(images: UInt8[Tensor, "b 3 h w"], amount: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Give each channel of each image a gain and a gamma of its own, both of 1 ± ``amount``: another color transfer."""
    b = len(images)
    gain, gamma = (
        uniform(3 * b, 1 - amount, 1 + amount, generator).view(b, 3, 1, 1).to(images.device) for _ in range(2)
    )
    light = (images.float() / 255).pow(gamma) * gain
    return (light * 255).round().clamp(0, 255).to(images.dtype)


def random_gray(images: UInt8[Tensor, "b 3 h w"], p: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Take the color from each image with probability ``p``; its brightness (BT.601) stays."""
    gray = rgb_to_grayscale(images.float()).round().clamp(0, 255).to(images.dtype)
    return torch.where(_chosen(images, p, generator), gray.expand_as(images), images)


def random_blur(images: UInt8[Tensor, "b 3 h w"], p: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Blur each image with probability ``p`` by a Gaussian of a random width (:data:`BLUR`)."""
    b, w = len(images), images.shape[-1]
    chosen = _chosen(images, p, generator).flatten()
    sigma = uniform(b, *BLUR, generator).to(images.device) * (w / 64)
    if not bool(chosen.any()):
        return images
    side = 2 * round(2 * BLUR[1] * w / 64) + 1
    soft = gaussian_blur2d(images[chosen].float(), side, torch.stack([sigma, sigma], dim=1)[chosen])
    result = images.clone()
    result[chosen] = soft.round().clamp(0, 255).to(images.dtype)
    return result


def random_shrink(images: UInt8[Tensor, "b 3 h w"], p: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Shrink each image with probability ``p`` to a random share of its pixels, and enlarge it again."""
    chosen = _chosen(images, p, generator).flatten()
    factors = uniform(len(images), *SHRINK, generator)
    result = images.clone()
    for index in torch.nonzero(chosen).flatten().tolist():
        size = images.shape[-2:]
        small = [max(1, round(side * float(factors[index]))) for side in size]
        image = images[index : index + 1].float()
        image = F.interpolate(image, size=small, mode="bilinear", antialias=True, align_corners=False)
        image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        result[index] = image[0].round().clamp(0, 255).to(images.dtype)
    return result


def _chosen(images: Tensor, p: float, generator: Generator) -> Tensor:
    """Choose images with probability ``p``: ``(b, 1, 1, 1)`` bool."""
    return (torch.rand(len(images), generator=generator) < p).to(images.device).view(-1, 1, 1, 1)
