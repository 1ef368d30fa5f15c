"""The optimizer of a config, and the moving average of the weights that it moves.

Backbone, new layers and the loss's own parameters have learning rates of their own. The average is evaluated and kept
instead of the last weights where a config asks for it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import nn, optim

from passerby.models.base import ReidModel
from passerby.training.config import OptimizerConfig

_WARM_UP = 10
"""The average's decay grows as (1 + updates) ÷ (10 + updates) up to its own: the first weights are soon forgotten."""


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


@torch.no_grad()
def follow(mean: nn.Module, network: nn.Module, share: float) -> None:
    """Move the tensors of ``mean`` by ``share`` of the way to those of ``network``; whole numbers are copied."""
    present = network.state_dict()
    for name, own in mean.state_dict().items():
        if own.is_floating_point():
            own.lerp_(present[name], share)
        else:
            own.copy_(present[name])


class AveragedWeights:
    """An exponential moving average of parameters and floating-point buffers; it is part of a checkpoint.

    Args:
        network: the network that is trained.
        decay: the share of the average that an update keeps.
    """

    def __init__(self, network: ReidModel, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    def update(self, network: ReidModel) -> None:
        """Take the present weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (_WARM_UP + self.updates))
        follow(self.network, network, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of updates."""
        return {"network": self.network.state_dict(), "updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.network.load_state_dict(state["network"])
        self.updates = int(state["updates"])
