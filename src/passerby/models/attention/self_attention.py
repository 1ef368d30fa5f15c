"""The self-attention over the positions of a map (Sun, Wang: channel attention and self-attention, §II.C).

q, k and v are 1×1 convolutions without bias, each with batch normalization. With the M positions of the map in reading
order, A_ij = q_i · k_j; then

- Eq 1, softmax(QKᵀ/√d_k) V: the scores are "divided by the square root of the dimension"; ``scaled=False``
  leaves that out;
- Eq 2, γ_ji = exp A_ij / Σ_i exp A_ij: :meth:`SelfAttention.weights`;
- Eq 3, y = αo + x with o_j = Σ_i γ_ji v_i: :meth:`SelfAttention.forward`. α starts at 0: y = x.

*Deviations*: Eq 2 writes A without √d_k, which Eq 1 and its sentence divide by; without it the weights of a new module
are almost one-hot. The widths of q and k are not printed: here an eighth of the map's channels. Eq 2's sum over i
normalizes a column of A ("in the column direction").
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import ShapeError

REDUCTION = 8
START = 0.0
"""The initial α, with which the module is the identity."""


def _conv_bn(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))


class SelfAttention(nn.Module):
    """A module in which every position sums the values of all, weighted by how well their queries fit its key.

    Args:
        scaled: divide A by √d_k before the softmax.
    """

    def __init__(self, channels: int, *, scaled: bool = True) -> None:
        super().__init__()
        d_k = max(1, channels // REDUCTION)
        self.query = _conv_bn(channels, d_k)
        self.key = _conv_bn(channels, d_k)
        self.value = _conv_bn(channels, channels)
        self.alpha = nn.Parameter(torch.full((), START))
        self.scale = 1 / math.sqrt(d_k) if scaled else 1.0

    def weights(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m m"]:
        """Return γ_ji at ``[image, j, i]`` (Eq 2): the weight of position i for position j. Each row sums to 1."""
        q = self.query(maps).flatten(2)  # (b, d, m)
        k = self.key(maps).flatten(2)
        A = self.scale * (q.transpose(1, 2) @ k)  # A_ij, (b, m, m)
        gamma: Tensor = torch.softmax(A, dim=1).transpose(1, 2)
        return gamma

    def row(self, maps: Float[Tensor, "b c h w"], position: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Return the weights of one position (row, column) of the map: its γ_ji as a map over i.

        Raises:
            ShapeError: for a position outside the map.
        """
        y, x = position
        height, width = maps.shape[2:]
        if not (0 <= y < height and 0 <= x < width):
            raise ShapeError(
                f"position {position} lies outside the map of {height} rows and {width} columns; rows count from 0"
            )
        row: Tensor = self.weights(maps)[:, y * width + x]
        return row.view(-1, height, width)

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        v = self.value(maps).flatten(2)  # (b, c, m)
        o = v @ self.weights(maps).transpose(1, 2)  # o_j = Σ_i v_i γ_ji
        y: Tensor = self.alpha * o.view_as(maps) + maps  # Eq 3
        return y
