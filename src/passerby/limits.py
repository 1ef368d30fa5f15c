"""Bounds of numbers that users and files give, the same wherever such a number is read."""

from __future__ import annotations

MAX_SEED = 2**40
"""The largest seed: generators are seeded with multiples of it."""
MIN_SIDE = 16
"""The smallest height or width of a network's images in pixels: some networks have no output for less."""
MAX_SIDE = 4096
"""The largest height or width of images in pixels."""
MAX_AREA = 2**20
"""The number of pixels of an image of a finished model, which embeds images in batches."""


def wrong_size(size: tuple[int, int]) -> str:
    """Return what is wrong with the image size (height, width) of a finished model; empty if nothing is."""
    (height, width), (least, most) = size, sorted(size)
    if least >= MIN_SIDE and most <= MAX_SIDE and height * width <= MAX_AREA:
        return ""
    return f"got {height}×{width}, expected sides of {MIN_SIDE} to {MAX_SIDE} and at most {MAX_AREA:,} pixels"
