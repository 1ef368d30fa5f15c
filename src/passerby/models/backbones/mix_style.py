"""A mixture of styles (MixStyle: Zhou, Yang, Qiao, Xiang, Domain Generalization with MixStyle, ICLR 2021).

Mean and standard deviation of a map's channels are an image's style: its camera, its light. In training they are
replaced by a mixture λ·own + (1 − λ)·another image's, λ ~ Beta(0.1, 0.1), for the batches that a coin chooses.
The network has no parameters of it and is unchanged after training.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

ALPHA = 0.1
"""The parameter of the paper's Beta distribution."""
_SMALL = 1e-6


class MixStyle(nn.Module):
    """The exchange of styles among the maps ``(b, c, h, w)`` of a batch.

    Args:
        p: the probability that a batch's styles are mixed.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not self.training or torch.rand(()).item() >= self.p:
            return x
        mean = x.mean(dim=(2, 3), keepdim=True).detach()
        deviation = (x.var(dim=(2, 3), keepdim=True) + _SMALL).sqrt().detach()
        other = torch.randperm(len(x), device=x.device)
        share = torch.distributions.Beta(ALPHA, ALPHA).sample((len(x), 1, 1, 1)).to(x)
        mixed_mean = share * mean + (1 - share) * mean[other]
        mixed_deviation = share * deviation + (1 - share) * deviation[other]
        return (x - mean) / deviation * mixed_deviation + mixed_mean
