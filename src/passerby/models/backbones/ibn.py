"""Instance-batch normalization (Pan, Luo, Shi, Tang: IBN-Net, ECCV 2018): half the channels forget an image's style."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_SHARED = ("weight", "bias")
_OF_BATCHES = ("running_mean", "running_var", "num_batches_tracked")


class IBN(nn.Module):
    """The normalization of IBN-a: by instance for the first half of the channels, by batch for the others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.instances = channels // 2
        self.IN = nn.InstanceNorm2d(self.instances, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.instances)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.IN(x[:, : self.instances]), self.BN(x[:, self.instances :])], dim=1)


def split_batch_norm(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network without IBN as those of ``network``: each BN's channels in two halves.

    Scale and shift of the first half go to the instance normalization; its running statistics have no use there.
    """
    split = dict(state)
    for name, module in network.named_modules():
        if isinstance(module, IBN) and f"{name}.weight" in split:
            for kind in _SHARED:
                whole = split.pop(f"{name}.{kind}")
                split[f"{name}.IN.{kind}"], split[f"{name}.BN.{kind}"] = (
                    whole[: module.instances],
                    whole[module.instances :],
                )
            for kind in _OF_BATCHES:
                if f"{name}.{kind}" in split:  # an old checkpoint has no counter
                    whole = split.pop(f"{name}.{kind}")
                    split[f"{name}.BN.{kind}"] = whole[module.instances :] if whole.ndim else whole
    return split
