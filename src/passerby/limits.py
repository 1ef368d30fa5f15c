"""Bounds of numbers that users and files give, the same wherever such a number is read."""

from __future__ import annotations

MAX_SEED = 2**40
"""The largest seed: generators are seeded with multiples of it."""
MIN_SIDE = 16
"""The smallest height or width of a network's images in pixels: some networks have no output for less."""
MAX_SIDE = 4096
"""The largest height or width of images in pixels."""
