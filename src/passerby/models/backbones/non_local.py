"""The non-local block (Wang et al., CVPR 2018), in the form without softmax: y_i = Σ_j θ(x_i)ᵀφ(x_j) g(x_j) / N.

Keys and sizes are fast-reid's: one inner channel, and a BN behind the projection whose factor starts at 0, so that a
fresh block changes nothing. Deviations: with one inner channel the sum over j is taken once, not for each position.
"""

from __future__ import annotations

from torch import Tensor, nn


class NonLocal(nn.Module):
    """The residual block x + BN(W y) of a map."""

    def __init__(self, channels: int, inner: int = 1) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))
        for parameter in self.W[1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))  # (b, i, n)
        y = (g @ phi.transpose(1, 2) / phi.shape[2]) @ theta  # g φᵀ is (b, i, i), whatever the size of the map
        z: Tensor = x + self.W(y.unflatten(2, x.shape[2:]))
        return z
