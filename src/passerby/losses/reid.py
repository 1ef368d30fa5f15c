"""The weighted sum of identity loss, global triplet loss, local triplet loss and the loss of attributes.

The identity loss is cross-entropy over the training people with label smoothing (Szegedy et al., 2016).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.errors import ConfigError
from passerby.losses.attributes import attribute_columns, mean_cross_entropy
from passerby.losses.base import BaseLossConfig, LossParts
from passerby.losses.registry import register
from passerby.losses.triplet import Triplets, local_triplet_loss, mine_hardest, triplet_loss
from passerby.types import Batch, ModelOutput


def identity_loss(
    logits: Float[Tensor, "b n"], labels: Int[Tensor, " b"], *, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return −Σ_c q_c log softmax(logits)_c, the mean over the batch; q = (1−ε)·one-hot + ε/n."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


class LossConfig(BaseLossConfig):
    """The weights and settings of :class:`ReidLoss`."""

    name: Literal["reid"] = "reid"
    identity: float = Field(1.0, ge=0)
    triplet: float = Field(1.0, ge=0)
    local: float = Field(0.0, ge=0)
    attributes: float = Field(0.0, ge=0)
    margin: float = 0.3
    smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def needs_attributes(self) -> bool:
        """A flag, true if attributes are learned."""
        return self.attributes > 0

    @property
    def leaves_parameters_out(self) -> bool:
        """A flag, true if a part is off: what only that part trains gets no gradient."""
        return not (self.identity and self.triplet and self.local)


@register(LossConfig)
class ReidLoss(nn.Module):
    """The sum Σ weight × part. A part of weight 0 is not computed.

    Args:
        identity: weight of the label-smoothed cross-entropy.
        triplet: weight of the global batch-hard triplet loss.
        local: weight of the local (DMLI) triplet loss; it reuses the global triplets.
        attributes: weight of the attributes' mean cross-entropy, for a model that predicts them.
        margin: margin of both triplet losses.
        smoothing: label smoothing ε of the cross-entropy.
    """

    def __init__(
        self,
        *,
        identity: float = 1.0,
        triplet: float = 1.0,
        local: float = 0.0,
        attributes: float = 0.0,
        margin: float = 0.3,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not (identity or triplet or local):
            raise ConfigError("a loss needs at least one part of weight above 0: identity, triplet or local")
        self.identity, self.triplet, self.local, self.attributes = identity, triplet, local, attributes
        self.margin, self.smoothing = margin, smoothing

    def forward(self, output: ModelOutput, batch: Batch) -> LossParts:
        parts: dict[str, Tensor] = {}
        if self.identity:
            logits = _required(output.logits, "logits", "identity")
            parts["identity"] = self.identity * identity_loss(logits, batch.labels, smoothing=self.smoothing)
        if self.triplet or self.local:
            parts |= self._metric_parts(output, mine_hardest(output.metric, batch.labels))
        if self.attributes:
            scores = output.attributes
            if scores is None:
                raise ConfigError(
                    "the attributes loss needs a model that predicts them. Fix: set loss.attributes=0, or "
                    "model.options.schema=market1501"
                )
            loss = mean_cross_entropy(scores, attribute_columns(batch.attributes, len(scores)))
            parts["attributes"] = self.attributes * loss
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
        raise ConfigError(
            f"the {part} loss needs a model that gives {what}. Fix: set loss.{part}=0 or choose another model"
        )
    return value
