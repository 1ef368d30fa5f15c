"""SP, spatial attention, is BAM's spatial branch alone (AaP-ReID, §5.1 and Table 3).

1×1 C → C/16, two 3×3 of dilation 4, each with bias, BN and ReLU, then 1×1 → one score per position
(Park et al., BAM, BMVC 2018, §3.2); f′ = f ⊙ σ(score).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.attention.registry import ATTENTION

REDUCTION = 16
DILATION = 4


def _conv_bn_relu(c_in: int, c_out: int, kernel: int) -> list[nn.Module]:
    dilation = DILATION if kernel > 1 else 1
    conv = nn.Conv2d(c_in, c_out, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU()]


class SpatialScore(nn.Sequential):
    """The raw score of each position of a map ``(b, c, h, w)``: ``(b, 1, h, w)``."""

    def __init__(self, channels: int) -> None:
        hidden = channels // REDUCTION
        super().__init__(
            *_conv_bn_relu(channels, hidden, 1),
            *_conv_bn_relu(hidden, hidden, 3),
            *_conv_bn_relu(hidden, hidden, 3),
            nn.Conv2d(hidden, 1, 1),
        )


class SP(nn.Module):
    """A score for each position, the same for all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = SpatialScore(channels)

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
        """Return the scores, in (0, 1)."""
        return torch.sigmoid(self.score(maps))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps * self.weights(maps)


ATTENTION.register("sp")(SP)
