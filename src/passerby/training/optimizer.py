"""Builds optimizers from a config, with a learning rate for backbone, new layers and the loss's own parameters."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn, optim

from passerby.models.base import ReidModel
from passerby.training.config import OptimizerConfig


class _HasGroups(Protocol):
    param_groups: list[dict[str, Any]]


def build_optimizer(model: ReidModel, loss: nn.Module, config: OptimizerConfig) -> optim.Optimizer:
    """Build Adam (weight decay as L2 in the gradient) or SGD with momentum; a loss's parameters do not decay."""
    groups = [*_groups(model, config), *_loss_groups(loss, config)]
    if config.name == "sgd":
        return optim.SGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    return optim.Adam(groups, lr=config.lr, weight_decay=config.weight_decay)


def _groups(model: ReidModel, config: OptimizerConfig) -> list[dict[str, Any]]:
    backbone: nn.Module | None = getattr(model, model.backbone_prefix) if model.backbone_prefix else None
    in_backbone = {id(p) for p in backbone.parameters()} if backbone is not None else set()
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {
            "params": [p for p in trained if (id(p) in in_backbone) is inside],
            "lr": (base := config.lr * (config.backbone_lr_factor if inside else 1.0)),
            "base_lr": base,
        }
        for inside in (True, False)
        if any((id(p) in in_backbone) is inside for p in trained)
    ]


def _loss_groups(loss: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    learned, base = list(loss.parameters()), config.lr * config.loss_lr_factor
    return [{"params": learned, "lr": base, "base_lr": base, "weight_decay": 0.0, "loss": True}] if learned else []


def set_lr(optimizer: _HasGroups, factor: float) -> float:
    """Scale the base rate of every parameter group; return the rate of the new layers: the model's last group."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return float([group["lr"] for group in optimizer.param_groups if not group.get("loss")][-1])
