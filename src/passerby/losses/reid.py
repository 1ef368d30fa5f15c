"""The weighted sum that the foundation's recipes train: identity + global triplet + local triplet."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.losses.aligned import local_triplet_loss
from passerby.losses.identity import identity_loss
from passerby.losses.triplet import Triplets, mine_hardest, triplet_loss
from passerby.types import Batch, ModelOutput


class LossParts(NamedTuple):
    """What is minimized, and what it is made of (each part already weighted)."""

    total: Tensor
    parts: dict[str, Tensor]


class ReidLoss(nn.Module):
    """Σ weight × part. A part of weight 0 is not computed.

    Args:
        identity: weight of the label-smoothed cross-entropy.
        triplet: weight of the global batch-hard triplet loss.
        local: weight of the local (DMLI) triplet loss; it reuses the global triplets.
        margin: of both triplet losses.
        smoothing: label smoothing ε of the cross-entropy.
    """

    def __init__(
        self,
        *,
        identity: float = 1.0,
        triplet: float = 1.0,
        local: float = 0.0,
        margin: float = 0.3,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not (identity or triplet or local):
            raise ConfigError("a loss needs at least one part of weight above 0: identity, triplet or local")
        self.identity, self.triplet, self.local = identity, triplet, local
        self.margin, self.smoothing = margin, smoothing

    def forward(self, output: ModelOutput, batch: Batch) -> LossParts:
        parts: dict[str, Tensor] = {}
        if self.identity:
            logits = _required(output.logits, "logits", "identity")
            parts["identity"] = self.identity * identity_loss(logits, batch.labels, smoothing=self.smoothing)
        if self.triplet or self.local:
            parts |= self._metric_parts(output, mine_hardest(output.metric, batch.labels))
        return LossParts(torch.stack(list(parts.values())).sum(), parts)

    def _metric_parts(self, output: ModelOutput, triplets: Triplets) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        if self.triplet:
            parts["triplet"] = self.triplet * triplet_loss(output.metric, triplets, margin=self.margin)
        if self.local:
            stripes = _required(output.local, "stripes", "local")
            parts["local"] = self.local * local_triplet_loss(stripes, triplets, margin=self.margin)
        return parts


def _required(value: Float[Tensor, "..."] | None, what: str, part: str) -> Float[Tensor, "..."]:
    if value is None:
        raise ConfigError(f"the {part} loss needs a model that gives {what}; set loss.{part}=0 or choose another model")
    return value
