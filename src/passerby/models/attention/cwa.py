"""The channel-wise attention (CWA) of AaP-ReID (Gautam, Prasad, Sinha, 2023), §3.2.

Eq 1, G(f): global average pool. Eq 2, R(f) = ReLU(BN(MLP(G(f), r))): C → C/r. Eq 3,
f′ = f ⊙ σ(MLP(R(f), r)): C/r → C. Both linear layers have biases; r = 16.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import ShapeError, UnknownNameError
from passerby.models.attention.registry import ATTENTION

REDUCTION = 16
Mode = Literal["mul", "add"]


class ChannelScore(nn.Module):
    """The raw score of each channel of a map ``(b, c, h, w)``: Eq 1, Eq 2 and the second MLP of Eq 3.

    Raises:
        ShapeError: for a batch of one in training mode, where Eq 2's batch statistics do not exist.
    """

    def __init__(self, channels: int, *, reduction: int = REDUCTION) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction)
        self.norm = nn.BatchNorm1d(channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        if self.norm.training and len(maps) == 1:
            raise ShapeError(
                "channel attention got a batch of 1 image in training mode, but its batch normalization needs 2 or "
                "more. Fix: give a larger batch, drop the last one, or call eval() first"
            )
        pooled = maps.mean(dim=(2, 3))  # Eq 1
        hidden = torch.relu(self.norm(self.reduce(pooled)))  # Eq 2
        scores: Tensor = self.expand(hidden)
        return scores


class CWA(nn.Module):
    """The attention CWA(x), f·s, or CWA(+), f + s, with one score s in (0, 1) per channel of each image."""

    def __init__(self, channels: int, *, mode: Mode = "mul", reduction: int = REDUCTION) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            raise UnknownNameError("CWA mode", mode, get_args(Mode))
        self.mode = mode
        self.score = ChannelScore(channels, reduction=reduction)

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Return the scores s."""
        return torch.sigmoid(self.score(maps))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        scores = self.weights(maps)[:, :, None, None]
        return maps * scores if self.mode == "mul" else maps + scores  # Eq 3


ATTENTION.register("cwa_mul")(partial(CWA, mode="mul"))
ATTENTION.register("cwa_add")(partial(CWA, mode="add"))
