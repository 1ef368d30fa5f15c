"""Augment uint8 batches. Every random choice comes from the generator that is passed in.

Random numbers are drawn on the CPU, so that a seed means the same images on every device; kornia moves the pixels.
Random erasing is in :mod:`passerby.data.images.erase`.

Images are resized elsewhere: they need one size to become a batch, so Pillow resizes them when they are decoded
(:func:`passerby.data.images.decode.to_tensor`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from kornia.enhance import (
    adjust_brightness_accumulative,
    adjust_contrast_with_mean_subtraction,
    adjust_saturation_with_gray_subtraction,
)
from kornia.geometry import hflip
from kornia.geometry.transform import affine, get_rotation_matrix2d
from torch import Generator, Tensor
from torch.nn import functional as F

from passerby.data.images.degrade import random_blur, random_gray, random_shrink, random_tint
from passerby.data.images.erase import (
    EraseAspect,
    EraseFill,
    fill_randomly,
    fill_with_mean,
    random_rectangles,
    uniform,
)
from passerby.data.images.normalize import Normalization, normalize_images
from passerby.errors import ConfigError

ENLARGEMENT = 1.125
"""The factor of :func:`random_enlarged_crop`."""


def random_flip(
    images: UInt8[Tensor, "b *parts 3 h w"], p: float, generator: Generator
) -> UInt8[Tensor, "b *parts 3 h w"]:
    """Mirror each image left to right with probability ``p``; of images with parts, all parts."""
    chosen = (torch.rand(len(images), generator=generator) < p).to(images.device)
    flipped: Tensor = torch.where(chosen.view(-1, *[1] * (images.ndim - 1)), hflip(images), images)
    return flipped


def random_pad_crop(images: UInt8[Tensor, "b 3 h w"], pad: int, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Pad every side by ``pad`` black pixels, then cut the old size out at a random place."""
    b, _, h, w = images.shape
    padded = F.pad(images, (pad, pad, pad, pad))
    top, left = (torch.randint(0, 2 * pad + 1, (b, 1), generator=generator) for _ in range(2))
    rows = (top + torch.arange(h)).to(images.device)  # (b, h)
    columns = (left + torch.arange(w)).to(images.device)  # (b, w)
    image = torch.arange(b, device=images.device)
    cut = padded.permute(0, 2, 3, 1)[image[:, None, None], rows[:, :, None], columns[:, None, :]]  # (b, h, w, 3)
    return cut.permute(0, 3, 1, 2)


def random_enlarged_crop(images: UInt8[Tensor, "b 3 h w"], p: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Enlarge each image to 9/8 of its size with probability ``p``, then cut the old size out at a random place.

    This is "random 2-D translation" of AlignedReID's code, which enlarges the file's image and not the resized one.
    """
    b, _, h, w = images.shape
    large = (round(h * ENLARGEMENT), round(w * ENLARGEMENT))
    rows, columns = (
        (torch.rand(b, 1, generator=generator) * (more - side + 1)).floor().long() + torch.arange(side)
        for more, side in zip(large, (h, w), strict=True)
    )
    chosen = (torch.rand(b, generator=generator) < p).to(images.device)
    enlarged = F.interpolate(images.float(), size=large, mode="bilinear", align_corners=False).round()
    image = torch.arange(b)[:, None, None]
    cut = enlarged.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]  # (b, h, w, 3)
    return torch.where(chosen.view(-1, 1, 1, 1), cut.permute(0, 3, 1, 2).to(images.dtype), images)


def random_affine(
    images: UInt8[Tensor, "b 3 h w"], degrees: float, translate: float, generator: Generator
) -> UInt8[Tensor, "b 3 h w"]:
    """Rotate by up to ±``degrees`` about the center and shift by up to ±``translate`` of each side; black fills."""
    b, _, h, w = images.shape
    angle = uniform(b, -degrees, degrees, generator)
    shift = torch.stack([uniform(b, -translate, translate, generator) * side for side in (w, h)], dim=1)
    center = torch.tensor([(w - 1) / 2, (h - 1) / 2]).expand(b, 2)
    matrix = get_rotation_matrix2d(center, angle, torch.ones(b, 2))
    matrix[:, :, 2] += shift
    moved = affine(images.float(), matrix.to(images.device), mode="bilinear", padding_mode="zeros")
    return moved.round().clamp(0, 255).to(images.dtype)


def random_jitter(images: UInt8[Tensor, "b 3 h w"], amount: float, generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Multiply brightness, contrast and saturation of each image by factors of 1 ± ``amount``."""
    factors = uniform(3 * len(images), 1 - amount, 1 + amount, generator).view(3, -1).to(images.device)
    light = adjust_brightness_accumulative(images.float() / 255, factors[0])
    light = adjust_contrast_with_mean_subtraction(light, factors[1])
    light = adjust_saturation_with_gray_subtraction(light, factors[2])
    return (light * 255).round().clamp(0, 255).to(images.dtype)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A function from a uint8 batch and a generator to a normalized float32 batch. An amount of 0 leaves a step out."""

    flip: float = 0.5
    """The probability of a mirrored image."""
    enlarge: float = 0.0
    """The probability of an image that is enlarged to 9/8 and cropped at a random place."""
    pad: int = 0
    """The black pixels on each side before a random crop of the old size."""
    degrees: float = 0.0
    """The largest rotation."""
    translate: float = 0.0
    """The largest shift, a share of each side."""
    jitter: float = 0.0
    """The largest relative change of brightness, contrast and saturation."""
    tint: float = 0.0
    """The largest relative change of each channel's gain and gamma."""
    gray: float = 0.0
    """The probability of a gray image."""
    blur: float = 0.0
    """The probability of a blurred image."""
    shrink: float = 0.0
    """The probability of an image of fewer pixels, enlarged again."""
    erase: float = 0.0
    """The probability of an erased rectangle."""
    erase_fill: EraseFill = "random"
    """The filling of an erased rectangle: random colors, or the mean color."""
    erase_aspect: EraseAspect = "uniform"
    """The distribution of its aspect ratio: uniform, or uniform by its logarithm."""
    normalization: Normalization = "imagenet"
    """The normalization of the result."""

    def __call__(self, images: UInt8[Tensor, "b 3 h w"], generator: Generator) -> Float[Tensor, "b 3 h w"]:
        if self.flip:
            images = random_flip(images, self.flip, generator)
        if self.enlarge:
            images = random_enlarged_crop(images, self.enlarge, generator)
        if self.pad:
            images = random_pad_crop(images, self.pad, generator)
        if self.degrees or self.translate:
            images = random_affine(images, self.degrees, self.translate, generator)
        if self.jitter:
            images = random_jitter(images, self.jitter, generator)
        images = self._degraded(images, generator)
        if not self.erase:
            return normalize_images(images, self.normalization)
        b, _, h, w = images.shape
        places = random_rectangles((b, h, w), self.erase, generator, aspect=self.erase_aspect)
        if self.erase_fill == "mean":
            return fill_with_mean(normalize_images(images, self.normalization), places)
        return normalize_images(fill_randomly(images, places, generator), self.normalization)

    def _degraded(self, images: UInt8[Tensor, "b 3 h w"], generator: Generator) -> UInt8[Tensor, "b 3 h w"]:
        steps = (
            (random_tint, self.tint),
            (random_gray, self.gray),
            (random_blur, self.blur),
            (random_shrink, self.shrink),
        )
        for step, amount in steps:
            images = step(images, amount, generator) if amount else images
        return images

    @property
    def moves(self) -> bool:
        """A flag of augmentations that move pixels otherwise than by mirroring, so that parts would be misplaced."""
        return bool(self.enlarge or self.pad or self.degrees or self.translate)

    def with_parts(
        self, images: UInt8[Tensor, "b 3 h w"], parts: UInt8[Tensor, "b p 3 y x"], generator: Generator
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b p 3 y x"]]:
        """Augment images with their parts: mirrored together, jittered and erased one by one.

        Raises:
            ConfigError: if it :attr:`moves` pixels.
        """
        if self.moves:
            raise ConfigError(
                "enlarge, pad, degrees and translate would move an image away from its parts. Fix: set them to 0 for "
                "this model"
            )
        state = generator.get_state()
        if self.flip:
            parts = random_flip(parts, self.flip, generator)
        generator.set_state(state)  # so that the images are mirrored by the same random numbers
        whole = self(images, generator)
        alone = replace(self, flip=0.0)(parts.flatten(0, 1), generator)
        return whole, alone.unflatten(0, parts.shape[:2])
