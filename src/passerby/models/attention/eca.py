"""ECA, efficient channel attention (Wang et al., CVPR 2020), which is one row of AaP-ReID's Table 3.

A bias-free 1-D convolution over the averages of the channels, its width k the odd number at
|log₂(C)/γ + b/γ| with γ = 2, b = 1 (5 for 256 to 1024 channels, 7 for 2048); f′ = f ⊙ σ(conv(GAP f)).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.attention.registry import ATTENTION


def adaptive_width(channels: int, *, gamma: int = 2, b: int = 1) -> int:
    """Return k: the integer part of |log₂(C)/γ + b/γ|, or the next integer if that is even."""
    k = int(abs(math.log2(channels) / gamma + b / gamma))
    return k if k % 2 else k + 1


class ECA(nn.Module):
    """A score for each channel from the averages of its neighbors."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        k = adaptive_width(channels)
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Return the scores, in (0, 1)."""
        pooled = maps.mean(dim=(2, 3))  # (b, c)
        return torch.sigmoid(self.conv(pooled[:, None]).squeeze(1))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps * self.weights(maps)[:, :, None, None]


ATTENTION.register("eca")(ECA)
