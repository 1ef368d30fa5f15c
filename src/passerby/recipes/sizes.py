"""The size of a config's model, counted on shapes: no memory for weights, no images."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from passerby.models.base import ReidModel
from passerby.models.registry import create_model
from passerby.training.config import TrainConfig

PARTS = 4
"""The number of part images, each a quarter as high, that a model gets if it takes parts."""


def count(config: TrainConfig, metric: str, *, classes: int) -> int:
    """Count one of the metrics of :data:`~passerby.recipes.tables.COUNTED`, with ``classes`` people to train on."""
    with torch.device("meta"):
        model = create_model(config.model.name, num_classes=classes, **config.model.options).eval()
    if metric == "parameters":
        return model.parameter_count()
    return _weights(model) if metric == "weights" else _multiply_adds(model, config.data.size)


def _weights(model: ReidModel, *, classifiers: bool = False) -> int:
    named = [(name, p) for name, p in model.named_parameters() if p.ndim > 1]  # neither biases nor normalization
    return sum(p.numel() for name, p in named if name.startswith("classifier") is classifiers)


def _multiply_adds(model: ReidModel, size: tuple[int, int]) -> int:
    height, width = size
    inputs = [torch.zeros(1, 3, height, width, device="meta")]
    if "parts" in model.card.inputs:
        inputs.append(torch.zeros(1, PARTS, 3, height // 4, width, device="meta"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    return int(counter.get_total_flops()) // 2 - _weights(model, classifiers=True)  # torch counts two per multiply-add
