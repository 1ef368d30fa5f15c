"""The loss of a network whose branches each learn identities, beside their fusion.

Yang et al. (Attention Driven Person Re-identification, Pattern Recognition 2019), Eq 11: L = λ Σ_j l_intra^j + l_inter,
where every l is the cross-entropy of Eq 10.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.losses.base import BaseLossConfig, LossParts
from passerby.losses.registry import register
from passerby.losses.reid import identity_loss
from passerby.types import Batch, ModelOutput

TASK = "intra"
"""The key of ``ModelOutput.branches`` that holds the scores of the branches."""


class BranchLossConfig(BaseLossConfig):
    """The weights and settings of :class:`BranchLoss`."""

    name: Literal["branches"] = "branches"
    intra: float = Field(0.5, ge=0)
    inter: float = Field(1.0, ge=0)
    smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def leaves_parameters_out(self) -> bool:
        """A flag, true if a part is off: what only that part trains gets no gradient."""
        return not (self.intra and self.inter)


@register(BranchLossConfig)
class BranchLoss(nn.Module):
    """The sum λ Σ CE of the branches + CE of the fused scores (Eq 11). A part of weight 0 is not computed.

    Args:
        intra: weight λ of the branches, 0.5 in the paper's text; its Table 10 finds 0.1 to 0.2 best.
        inter: weight of the fused scores: 1, or 0 for a model without fusion, whose branches are joined at test only.
        smoothing: label smoothing ε of every cross-entropy; the paper has none.
    """

    def __init__(self, *, intra: float = 0.5, inter: float = 1.0, smoothing: float = 0.0) -> None:
        super().__init__()
        if not (intra or inter):
            raise ConfigError("a loss needs at least one part of weight above 0: intra or inter")
        self.intra, self.inter, self.smoothing = intra, inter, smoothing

    def forward(self, output: ModelOutput, batch: Batch) -> LossParts:
        parts: dict[str, Tensor] = {}
        if self.intra:
            scores = (output.branches or {}).get(TASK)
            if not scores:
                raise ConfigError(
                    "the intra loss needs a model whose branches give scores. "
                    "Fix: set loss.intra=0 or choose another model"
                )
            parts["intra"] = (
                self.intra * torch.stack([self._cross_entropy(logits, batch.labels) for logits in scores]).sum()
            )
        if self.inter:
            if output.logits is None:
                raise ConfigError(
                    "the inter loss needs a model that gives logits. Fix: set loss.inter=0 or choose another model"
                )
            parts["inter"] = self.inter * self._cross_entropy(output.logits, batch.labels)
        return LossParts(torch.stack(list(parts.values())).sum(), parts)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return identity_loss(logits, labels, smoothing=self.smoothing)
