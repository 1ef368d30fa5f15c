"""Rows taken as many at a time as memory may hold."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

BLOCK_BYTES = 64 * 2**20
"""What distances that are looked at and dropped may take."""
CELL_BYTES = 16
"""What is laid beside a distance while it is looked at: masks, places, copies."""


def row_blocks(
    rows: int, row_bytes: int, block_bytes: int, device: torch.device | None = None
) -> tuple[Int[Tensor, " b"], ...]:
    """The numbers 0 … ``rows`` − 1 in runs of no more than ``block_bytes``, or of one."""
    return tuple(torch.arange(rows, device=device).split(max(1, block_bytes // row_bytes)))
