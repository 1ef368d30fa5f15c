"""BAM, bottleneck attention (Park et al., BMVC 2018), as AaP-ReID uses it in every block (its Table 3).

Channel branch M_c: the MLP of CWA (``channel_score``). Spatial branch M_s: ``SpatialScore``. In
parallel: f′ = f ⊙ (1 + σ(M_c + M_s)).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.attention.cwa import ChannelScore
from passerby.models.attention.registry import ATTENTION
from passerby.models.attention.sp import SpatialScore


class BAM(nn.Module):
    """A score for each channel and position: the sum of a score per channel and a score per position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelScore(channels)
        self.spatial = SpatialScore(channels)

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the scores, in (0, 1)."""
        return torch.sigmoid(self.channel(maps)[:, :, None, None] + self.spatial(maps))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps * (1 + self.weights(maps))


ATTENTION.register("bam")(BAM)
