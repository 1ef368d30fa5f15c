"""Instance-batch normalization (Pan, Luo, Shi, Tang: IBN-Net, ECCV 2018): half the channels forget an image's style."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

_SHARED = ("weight", "bias")
_OF_BATCHES = ("running_mean", "running_var", "num_batches_tracked")


class IBN(nn.Module):
    """The normalization of IBN-a: by instance for the first half of the channels, by batch for the others.

    Both halves are one multiplication and one addition: modules of torch would cut the map in two and join it again,
    which makes the steps of a MobileNetV2 a third longer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.instances = channels // 2
        self.IN = nn.InstanceNorm2d(self.instances, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.instances)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        own, batch = x.mean(dim=(2, 3)), x.square().mean(dim=(2, 3))  # (b, c): moments of each map
        by_instance = _affine(self.IN, own[:, : self.instances], batch[:, : self.instances])
        by_batch = self._batch(own[:, self.instances :], batch[:, self.instances :], x.shape[2] * x.shape[3])
        # x.shape[0], not len(x), which would fix the number of images in an exported graph
        factors = [by_instance, tuple(part.expand(x.shape[0], -1) for part in by_batch)]
        scale, shift = (torch.cat(parts, dim=1)[:, :, None, None] for parts in zip(*factors, strict=True))
        return torch.addcmul(shift, x, scale)

    def _batch(self, mean: Tensor, square: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """Return the factors (1, c) of batch normalization, and update its running statistics in training."""
        norm = self.BN
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not norm.training:
            running = norm.running_mean[None], norm.running_var[None]
            return _affine(norm, running[0], running[1] + running[0].square())
        number = len(mean) * pixels
        mean, square = mean.mean(dim=0, keepdim=True), square.mean(dim=0, keepdim=True)
        with torch.no_grad():
            variance = (square - mean.square()).clamp_min(0) * number / max(1, number - 1)
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            share = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum  # None: of all
            norm.running_mean.lerp_(mean[0].to(norm.running_mean.dtype), share)
            norm.running_var.lerp_(variance[0].to(norm.running_var.dtype), share)
        return _affine(norm, mean, square)


def _affine(norm: nn.InstanceNorm2d | nn.BatchNorm2d, mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and shift that normalize values of this mean and mean square, and apply the layer's own."""
    scale = norm.weight * ((square - mean.square()).clamp_min(0) + norm.eps).rsqrt()
    return scale, norm.bias - mean * scale


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
