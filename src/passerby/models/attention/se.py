"""SE, squeeze and excitation (Hu, Shen, Sun, CVPR 2018), which the dual attention network has in every block (§II.B).

Squeeze: global average pool. Excitation: Linear C → C/r → ReLU → Linear C/r → C, both with biases, r = 16, no batch
normalization. Scaling: f′ = f ⊙ σ(score).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

REDUCTION = 16


class SE(nn.Module):
    """A score for each channel of each image, from the averages of all channels."""

    def __init__(self, channels: int, *, reduction: int = REDUCTION) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, max(1, channels // reduction))
        self.expand = nn.Linear(max(1, channels // reduction), channels)

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Return the scores, in (0, 1)."""
        squeezed = maps.mean(dim=(2, 3))
        return torch.sigmoid(self.expand(torch.relu(self.reduce(squeezed))))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps * self.weights(maps)[:, :, None, None]
