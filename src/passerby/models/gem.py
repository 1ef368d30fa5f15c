"""Generalized-mean pooling (Radenović et al., TPAMI 2019): (mean of xᵖ)^(1/p) of each channel, with a learned p."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

_FLOOR = 1e-6
"""The least value that is raised to the power, as in fast-reid."""


class GeM(nn.Module):
    """The generalized mean of a map; p = 1 is the average, and the larger p, the closer it is to the maximum."""

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        pooled: Tensor = maps.clamp(min=_FLOOR).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)
        return pooled
