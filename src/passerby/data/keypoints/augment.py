"""Augment images with keypoints: one warp moves both; what follows degrades the images only.

Generated people differ from real ones most in color, sharpness and occlusion: light and saturation are scaled, colors
tinted or turned to gray, images blurred, reduced in resolution and made noisy, and rectangles of other images (or of
one color) occlude a part. Every random choice comes from the generator that is passed in, drawn on the CPU, so that a
seed means the same images on every device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from kornia.color import rgb_to_grayscale
from kornia.filters import gaussian_blur2d
from torch import Generator, Tensor
from torch.nn import functional as F

from passerby.data.images.augment import random_jitter
from passerby.data.images.normalize import normalize_images
from passerby.data.keypoints.skeleton import MIRRORED


@dataclass(frozen=True, kw_only=True)
class PoseAugmentation:
    """The amounts of the augmentation; an amount of 0 leaves a step out."""

    flip: float = 0.5
    """The probability of a mirrored image."""
    scale: float = 0.0
    """The window is 1 ± this times the image's size; beyond the image its edge is repeated."""
    closer: float = 0.0
    """The share by which the window is smaller, so that people are larger: other detectors leave less margin."""
    aspect: float = 0.0
    """The largest relative change of the window's width ÷ height."""
    shift: float = 0.0
    """The largest shift of the window's center, a share of each side."""
    degrees: float = 0.0
    """The largest rotation of the window."""
    jitter: float = 0.0
    """The largest relative change of brightness, contrast and saturation."""
    gray: float = 0.0
    """The probability of an image without color."""
    tint: float = 0.0
    """The largest relative change of red, green and blue, independently."""
    blur: float = 0.0
    """The probability of a blur with a σ of up to 1.5 pixels."""
    low: float = 0.0
    """The probability of half or a third of the resolution."""
    noise: float = 0.0
    """The largest standard deviation of the noise, a share of white."""
    hide: float = 0.0
    """The probability of a rectangle that occludes a part of the person."""

    def __call__(
        self,
        images: UInt8[Tensor, "b 3 i j"],
        keypoints: Float[Tensor, "b 18 2"],
        confidence: Float[Tensor, "b 18"],
        size: tuple[int, int],
        generator: Generator,
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 18 2"], Float[Tensor, "b 18"]]:
        """Return normalized images of ``size``, keypoints as fractions of these, and their confidence."""
        windows = self.windows(len(images), size, generator)
        cropped = crop_windows(images, windows, size)
        keypoints, confidence = transform_keypoints(keypoints, confidence, windows)
        if self.jitter:
            cropped = random_jitter(cropped, self.jitter, generator)
        floats = self._degrade(cropped.float() / 255, generator)
        return normalize_images((floats * 255).round().clamp(0, 255)), keypoints, confidence

    def windows(self, n: int, size: tuple[int, int], generator: Generator) -> Float[Tensor, "b 2 3"]:
        """Return affine maps from places in the new image to places in the old, both in [−1, 1] along x and y."""
        height, width = size
        zoom = 1 - self.closer + self.scale * _symmetric(n, generator)
        stretch = (self.aspect / 2 * _symmetric(n, generator)).exp()
        angle = math.radians(self.degrees) * _symmetric(n, generator)
        mirror = torch.where(torch.rand(n, generator=generator) < self.flip, -1.0, 1.0)
        x, y = zoom * stretch, zoom / stretch
        shift = 2 * self.shift * torch.stack([_symmetric(n, generator), _symmetric(n, generator)], dim=1)
        rows = [
            torch.stack([x * angle.cos() * mirror, -y * angle.sin() * height / width, shift[:, 0]], dim=1),
            torch.stack([x * angle.sin() * width / height * mirror, y * angle.cos(), shift[:, 1]], dim=1),
        ]
        return torch.stack(rows, dim=1)

    def _degrade(self, images: Float[Tensor, "b 3 h w"], generator: Generator) -> Float[Tensor, "b 3 h w"]:
        if self.hide:
            images = occlude(images, _choose(len(images), self.hide, generator), generator)
        if self.gray:
            images = _where(
                _choose(len(images), self.gray, generator), rgb_to_grayscale(images).expand_as(images), images
            )
        if self.tint:
            gain = 1 + self.tint * (2 * torch.rand(len(images), 3, 1, 1, generator=generator) - 1)
            images = images * gain.to(images.device)
        if self.blur:
            sigma = 0.3 + 1.2 * torch.rand(len(images), 1, generator=generator).to(images.device).expand(-1, 2)
            chosen = _choose(len(images), self.blur, generator)
            images = _where(chosen, gaussian_blur2d(images, (7, 7), sigma.contiguous()), images)
        if self.low:
            for factor in (2, 3):
                images = _where(
                    _choose(len(images), self.low / 2, generator), reduce_resolution(images, factor), images
                )
        if self.noise:
            strength = self.noise * torch.rand(len(images), 1, 1, 1, generator=generator)
            images = images + (strength * torch.randn(images.shape, generator=generator)).to(images.device)
        return images


def crop_windows(
    images: UInt8[Tensor, "b 3 i j"], windows: Float[Tensor, "b 2 3"], size: tuple[int, int]
) -> UInt8[Tensor, "b 3 h w"]:
    """Crop ``windows`` of the images, resized to ``size``; beyond the image its edge is repeated."""
    where = F.affine_grid(windows.to(images.device), [len(images), 3, *size], align_corners=False)
    cropped = F.grid_sample(images.float(), where, mode="bilinear", padding_mode="border", align_corners=False)
    return cropped.round().clamp(0, 255).to(torch.uint8)


def transform_keypoints(
    keypoints: Float[Tensor, "b 18 2"], confidence: Float[Tensor, "b 18"], windows: Float[Tensor, "b 2 3"]
) -> tuple[Float[Tensor, "b 18 2"], Float[Tensor, "b 18"]]:
    """Return places and confidence of keypoints in the windows: a mirror swaps left and right, outside they are 0.

    Unlabeled keypoints (confidence below 0) stay unlabeled: whether they are inside a window is unknown.
    """
    turn, middle = windows[:, :, :2].to(keypoints.device), windows[:, None, :, 2].to(keypoints.device)
    inside = torch.linalg.solve(turn, (2 * keypoints - 1 - middle).transpose(1, 2)).transpose(1, 2)  # in [−1, 1]
    new = (inside + 1) / 2
    confidence = torch.where(((new >= 0) & (new < 1)).all(-1) | (confidence < 0), confidence, 0.0)
    order = torch.tensor(MIRRORED, device=keypoints.device)
    flipped = torch.linalg.det(turn) < 0
    new = torch.where(flipped[:, None, None], new[:, order], new)
    return new, torch.where(flipped[:, None], confidence[:, order], confidence)


def reduce_resolution(images: Float[Tensor, "b 3 h w"], factor: int) -> Float[Tensor, "b 3 h w"]:
    """Reduce the resolution to ``1 / factor``, at the same size."""
    small = F.interpolate(images, scale_factor=1 / factor, mode="area")
    return F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)


def occlude(images: Float[Tensor, "b 3 h w"], chosen: Tensor, generator: Generator) -> Float[Tensor, "b 3 h w"]:
    """Cover the ``chosen`` images with a rectangle of 10–50 % of each side: of the next image, or of one color."""
    b, _, h, w = images.shape
    height, width = (0.1 + 0.4 * torch.rand(2, b, generator=generator)).unbind()
    top, left = (torch.rand(2, b, generator=generator) * (1 - torch.stack([height, width]))).unbind()
    y, x = ((torch.arange(n) + 0.5) / n for n in (h, w))
    rows = (y >= top[:, None]) & (y < (top + height)[:, None])  # (b, h)
    columns = (x >= left[:, None]) & (x < (left + width)[:, None])  # (b, w)
    mask = (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device) & chosen
    color = torch.rand(b, 3, 1, 1, generator=generator).to(images.device).expand_as(images)
    plain = _choose(b, 0.5, generator).to(images.device)
    return torch.where(mask, torch.where(plain, color, images.roll(1, dims=0)), images)


def _symmetric(n: int, generator: Generator) -> Tensor:
    return 2 * torch.rand(n, generator=generator) - 1


def _choose(n: int, p: float, generator: Generator) -> Tensor:
    """Return n flags, ``(n, 1, 1, 1)``, true with probability ``p``."""
    return (torch.rand(n, generator=generator) < p)[:, None, None, None]


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(chosen.to(one.device), one, other)
