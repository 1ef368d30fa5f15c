"""A config's model: fresh weights from its seed, and the checkpoint that it names for the backbone."""

from __future__ import annotations

import torch

from passerby.models.base import ReidModel
from passerby.models.registry import create_model
from passerby.training.config import TrainConfig
from passerby.weights.load import WeightsReport, load_backbone


def build_model(config: TrainConfig, *, num_classes: int) -> ReidModel:
    """The config's model with fresh weights from its seed."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return create_model(config.model.name, num_classes=num_classes, **config.model.options)


def load_backbone_weights(model: ReidModel, config: TrainConfig) -> WeightsReport | None:
    """The checkpoint that the config names for the backbone, where it names one."""
    source = config.model.backbone_weights
    if not source:
        return None
    if model.backbone_prefix is None:  # the model is its own backbone: all but its heads
        return load_backbone(model, source, heads=model.heads)
    return load_backbone(getattr(model, model.backbone_prefix), source)
