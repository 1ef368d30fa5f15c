"""Losses from a config."""

from __future__ import annotations

from torch import nn

from passerby.losses.branches import BranchLoss
from passerby.losses.multitask import MultitaskLoss
from passerby.losses.reid import ReidLoss
from passerby.training.config import BranchLossConfig, LossConfig, MultitaskLossConfig

_LOSSES: dict[str, type[nn.Module]] = {"reid": ReidLoss, "multitask": MultitaskLoss, "branches": BranchLoss}


def build_loss(config: LossConfig | MultitaskLossConfig | BranchLossConfig) -> nn.Module:
    """The loss that a config names: called with a model's output and the batch, it gives ``LossParts``."""
    return _LOSSES[config.name](**config.model_dump(exclude={"name"}))


def needs_attributes(config: LossConfig | MultitaskLossConfig | BranchLossConfig) -> bool:
    """Whether batches must say what people look like."""
    return isinstance(config, MultitaskLossConfig) and "attributes" in config.tasks


def leaves_parameters_out(config: LossConfig | MultitaskLossConfig | BranchLossConfig) -> bool:
    """Whether some parameters of the model may get no gradient, since nothing that they lead to is trained."""
    if isinstance(config, LossConfig):
        return not (config.identity and config.triplet and config.local)
    return not (config.intra and config.inter) if isinstance(config, BranchLossConfig) else True
