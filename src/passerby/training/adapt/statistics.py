"""The re-estimation of batch-norm statistics: what a network subtracts and divides by becomes that of the new crops."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from passerby.inference.session import evaluation_mode


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return the layers of a network that normalize by stored statistics."""
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> int:
    """Replace the statistics of all batch-norm layers by the mean of those of ``batches``; return the number of images.

    Weights are unchanged, and so is the mode of the network. Each batch counts equally, so all should have one size.

    Args:
        batches: the arguments that the network is called with, normalized; of images in random order, since a batch of
            few people or of one camera has other statistics than all.
    """
    layers = batch_norms(network)
    momenta = [layer.momentum for layer in layers]
    images = 0
    with evaluation_mode(network):
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all batches
            layer.train()
        try:
            for batch in batches:
                network(*batch)
                images += len(batch[0])
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
    return images
