"""Erase random rectangles (Zhong, Zheng, Kang, Li, Yang: Random Erasing Data Augmentation, AAAI 2020).

With probability p a rectangle is filled: its area is 2–40 % of the image, its aspect ratio is drawn uniformly from
0.3–3.33, and every pixel gets a random color. *Options*: the mean color as the filling; an aspect ratio drawn uniformly
by its logarithm, so that tall and wide rectangles are equally likely. *Deviations*: of ten rectangles the first that is
smaller than the image is placed anywhere inside; they draw place and rectangle again until both fit together.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor

EraseFill = Literal["random", "mean"]
EraseAspect = Literal["uniform", "log"]


def uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    """Draw ``n`` numbers from [low, high)."""
    return torch.rand(n, generator=generator) * (high - low) + low


def random_rectangles(
    size: tuple[int, int, int], p: float, generator: Generator, *, aspect: EraseAspect = "uniform", attempts: int = 10
) -> Bool[Tensor, "b h w"]:
    """Draw a rectangle in each of ``b`` images of ``(h, w)`` with probability ``p``; return where they are.

    Args:
        size: ``(b, h, w)``.
        aspect: height ÷ width is drawn ``uniform`` from [0.3, 1 ÷ 0.3], or its ``log`` is.
    """
    b, h, w = size
    area = uniform(b * attempts, 0.02, 0.4, generator) * h * w
    if aspect == "log":
        ratio = uniform(b * attempts, math.log(0.3), math.log(1 / 0.3), generator).exp()
    else:
        ratio = uniform(b * attempts, 0.3, 1 / 0.3, generator)
    height, width = ((area * r).sqrt().round().view(b, attempts) for r in (ratio, 1 / ratio))
    fits = (height < h) & (width < w)
    first = fits.int().argmax(1, keepdim=True)  # the first candidate that fits inside
    height, width, fits = (t.gather(1, first).squeeze(1) for t in (height, width, fits))
    top = (torch.rand(b, generator=generator) * (h - height + 1)).floor()
    left = (torch.rand(b, generator=generator) * (w - width + 1)).floor()
    chosen = (torch.rand(b, generator=generator) < p) & fits
    y, x = torch.arange(h), torch.arange(w)
    in_rows = (y >= top[:, None]) & (y < (top + height)[:, None])  # (b, h)
    in_columns = (x >= left[:, None]) & (x < (left + width)[:, None])  # (b, w)
    return in_rows[:, :, None] & in_columns[:, None, :] & chosen[:, None, None]


def fill_randomly(
    images: UInt8[Tensor, "b 3 h w"], places: Bool[Tensor, "b h w"], generator: Generator
) -> UInt8[Tensor, "b 3 h w"]:
    """Give every pixel of the places a random color."""
    colors = torch.randint(256, (int(places.sum()), 3), generator=generator).to(images)
    filled = images.permute(0, 2, 3, 1).clone()  # (b, h, w, 3)
    filled[places.to(images.device)] = colors
    return filled.permute(0, 3, 1, 2)


def fill_with_mean(images: Float[Tensor, "b 3 h w"], places: Bool[Tensor, "b h w"]) -> Float[Tensor, "b 3 h w"]:
    """Give every pixel of the places, in normalized images, the mean color, which is 0."""
    return images.masked_fill(places[:, None].to(images.device), 0.0)
