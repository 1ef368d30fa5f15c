"""Sessions: the one seam between :class:`~passerby.inference.model.Model` and what runs a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from passerby.data.attributes.schema import Schema
from passerby.data.images.normalize import Normalization, check_normalization, normalize_images, normalize_parts
from passerby.models.base import ReidModel
from passerby.models.card import ModelCard
from passerby.models.folded import FoldedNetwork
from passerby.types import ModelOutput
from passerby.weights.load import digest


class Session(Protocol):
    """A network that is ready to run."""

    @property
    def card(self) -> ModelCard:
        """The facts of the model: its name, what it takes, which distances its output allows."""

    @property
    def schema(self) -> Schema | None:
        """The attributes that the model predicts; ``None`` if it predicts none."""

    @property
    def embedding_size(self) -> int:
        """The number of dimensions of an embedding."""

    @property
    def device(self) -> torch.device:
        """The device that the network runs on."""

    def run(self, images: Tensor, parts: Tensor | None = None) -> ModelOutput:
        """Return the network's output, on its device, in evaluation mode and without gradients.

        The session normalizes the images, as those were that its network was trained with; nothing else does.

        Args:
            images: ``(b, 3, h, w)`` uint8, RGB, of the model's size.
            parts: ``(b, p, 3, y, x)`` uint8, for models whose card asks for them.
        """

    def digest(self, salt: str) -> str:
        """Return hex digits that differ where the weights or ``salt`` do."""


class TorchSession:
    """A PyTorch network as a :class:`Session`.

    Args:
        normalization: the normalization of the images that the network was trained with.
        folded: whether to run a copy that is faster on the CPU (:mod:`passerby.models.folded`).
    """

    def __init__(self, network: ReidModel, *, normalization: Normalization = "imagenet", folded: bool = False) -> None:
        check_normalization(normalization)
        self.network, self.normalization = network, normalization
        self._folded = FoldedNetwork(network) if folded else None
        self.card, self.schema, self.embedding_size = network.card, network.schema, network.embedding_size

    @property
    def device(self) -> torch.device:
        """The device of the network's parameters."""
        return next(self.network.parameters()).device

    @torch.inference_mode()
    def run(self, images: Tensor, parts: Tensor | None = None) -> ModelOutput:
        """Return the network's output; its mode is restored afterwards."""
        inputs = network_inputs(images, parts, self.device, self.normalization)
        output: ModelOutput
        if self._folded and parts is None and (copied := self._folded.current(images.shape[2:])):
            output = copied(*inputs)
            return output
        with evaluation_mode(self.network):
            output = self.network(*inputs)
        return output

    def digest(self, salt: str) -> str:
        """Return hex digits of the weights, of a normalization other than ImageNet's, and ``salt``."""
        return digest(self.network, salt if self.normalization == "imagenet" else f"{salt} {self.normalization}")


def network_inputs(
    images: Tensor, parts: Tensor | None, device: torch.device, normalization: Normalization
) -> tuple[Tensor, ...]:
    """Return what a network is called with: normalized float32 images and, if given, parts, on ``device``."""
    batch = normalize_images(images.to(device), normalization).contiguous(memory_format=torch.channels_last)
    return (batch,) if parts is None else (batch, normalize_parts(parts.to(device), normalization))


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and back afterwards."""
    if not any(module.training for module in network.modules()):  # to set what is set takes a third of a small network
        yield
        return
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
