"""Measures of the quality of saliency maps: pure functions of maps, masks and model scores.

- Petsiuk, Das, Saenko (RISE, BMVC 2018), deletion and insertion: :func:`replace_pixels`, :func:`score_curve`,
  :func:`area_under_curve`;
- Zhang et al. (Top-down neural attention by excitation backprop, ECCV 2016), pointing game: :func:`points_inside`;
- Adebayo et al. (Sanity checks for saliency maps, NeurIPS 2018), rank correlation with the maps of a model whose
  weights are random: :func:`rank_correlation`.

*Deviations*: RISE deletes by gray and inserts into a blurred image. Here the caller gives both images. With gray,
single pixels deleted at random are speckles that no camera makes, and change an embedding for that reason alone; a
blurred image loses content and adds none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageFilter
from scipy.stats import rankdata
from torch import Tensor

BLUR = 4.0
"""The σ in pixels of the blur that replaces deleted pixels: at 128×64 it leaves no pattern of a garment."""
MOST = 0.1
"""The share of a map's pixels that counts as its highest."""


def saliency_order(maps: Float[Tensor, "b h w"], generator: torch.Generator) -> Int[Tensor, "b n"]:
    """Return the indices of pixels (in reading order), most salient first; equal ones in random order."""
    values = maps.flatten(1).cpu()
    drawn = torch.rand(values.shape, generator=generator).argsort(dim=1)
    order = values.gather(1, drawn).argsort(dim=1, descending=True, stable=True)
    return drawn.gather(1, order)


def random_order(maps: Float[Tensor, "b h w"], generator: torch.Generator, *, cell: int = 1) -> Int[Tensor, "b n"]:
    """Return a random order of pixels, as of maps without information.

    Args:
        cell: side in pixels of squares whose pixels follow each other, as in maps with cells of that size.
    """
    b, height, width = maps.shape
    drawn = torch.rand(b, -(-height // cell), -(-width // cell), generator=generator)
    squares = drawn.repeat_interleave(cell, dim=1).repeat_interleave(cell, dim=2)
    return saliency_order(squares[:, :height, :width], generator)


def replace_pixels(
    image: UInt8[Tensor, "c h w"], other: UInt8[Tensor, "c h w"], order: Int[Tensor, " n"], shares: Sequence[float]
) -> UInt8[Tensor, "s c h w"]:
    """Replace growing shares of an image's pixels, in this order, by those of another image."""
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    limits = torch.tensor([round(share * len(order)) for share in shares])
    changed = (place[None] < limits[:, None]).view(len(shares), 1, *image.shape[1:])
    return torch.where(changed, other, image)


def score_curve(
    value: Callable[[Tensor], Tensor], start: Tensor, end: Tensor, order: Int[Tensor, " n"], shares: Sequence[float]
) -> Float[Tensor, " s"]:
    """Compute ``value`` of the images ``(s, c, h, w)`` on the way from ``start`` to ``end``.

    Deletion starts with the image and ends blurred; insertion goes the other way.
    """
    return value(replace_pixels(start, end, order, shares)).detach().double().cpu()


def area_under_curve(values: Float[Tensor, "*b s"], shares: Sequence[float]) -> Float[Tensor, "*b"]:
    """Compute the area under the curve of values over shares, by the trapezoidal rule."""
    return torch.trapezoid(values, torch.tensor(shares, dtype=values.dtype), dim=-1)


def blur_images(images: UInt8[Tensor, "b c h w"], sigma: float = BLUR) -> UInt8[Tensor, "b c h w"]:
    """Blur images with a Gaussian."""
    blur = ImageFilter.GaussianBlur(sigma)
    rows = [Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy()).filter(blur) for image in images]
    return torch.stack([torch.from_numpy(np.array(row)).permute(2, 0, 1) for row in rows])


def rank_correlation(x: Float[Tensor, "b h w"], y: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute Spearman's rank correlation of each pair of maps (ties at their mean rank); 0 for a constant map."""
    ranks = [torch.from_numpy(rankdata(maps.flatten(1).double().cpu().numpy(), axis=1)) for maps in (x, y)]
    u, v = (r - r.mean(dim=1, keepdim=True) for r in ranks)
    lengths = u.norm(dim=1) * v.norm(dim=1)
    return torch.where(lengths > 0, (u * v).sum(dim=1) / lengths.clamp_min(1e-30), 0.0)


def mass_inside(
    maps: Float[Tensor, "b h w"], masks: Bool[Tensor, "b h w"], *, most: float = MOST
) -> Float[Tensor, " b"]:
    """Compute the share of the mass of a map's highest pixels that lies inside a mask; 0 for a map of zeros.

    Args:
        most: the share of the map's pixels that counts as its highest.
    """
    values, places = maps.flatten(1).topk(max(1, round(most * maps[0].numel())), dim=1)
    inside = masks.flatten(1).gather(1, places)
    return (values * inside).sum(dim=1) / values.sum(dim=1).clamp_min(torch.finfo(values.dtype).tiny)


def points_inside(maps: Float[Tensor, "b h w"], masks: Bool[Tensor, "b h w"]) -> Bool[Tensor, " b"]:
    """Test whether a map's highest pixel (the first of equal ones) lies inside a mask."""
    return masks.flatten(1).gather(1, maps.flatten(1).argmax(dim=1, keepdim=True))[:, 0]
