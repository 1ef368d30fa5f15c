"""What is known of the people of a run: attributes to learn from, and attributes to compare predictions with."""

from __future__ import annotations

import torch
from torch import Tensor

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.dataset import Dataset
from passerby.errors import ConfigError
from passerby.evaluation.attribute_test import AttributeTest
from passerby.models.base import ReidModel
from passerby.training.config import TrainConfig


def training_attributes(config: TrainConfig, model: ReidModel, dataset: Dataset) -> Tensor | None:
    """``(n, g)``: the classes of the training pictures, by the model's schema; ``None`` for a loss that needs none.

    Raises:
        ConfigError: if the model predicts no attributes, or others than those that are known.
        DatasetLayoutError: if there are none, or of none of the pictures.
    """
    if not config.loss.needs_attributes:
        return None
    if model.schema is None:
        raise ConfigError(f"{config.model.name} predicts no attributes; leave them out of loss.tasks")
    known = read_attributes(config.data.attributes or dataset.source, model.schema)
    return torch.from_numpy(known.of_all(dataset.split("train")))


def evaluation_attributes(
    config: TrainConfig, model: ReidModel, training: Dataset, test: Dataset | None
) -> Attributes | None:
    """What the people to test on wear, where the model learns to predict it and somebody says it.

    Other test data than the training set's own has its own people, who are described in ``data.test_attributes`` or
    nowhere.

    Raises:
        ConfigError: as for training.
        DatasetLayoutError: if ``data.test_attributes`` describes nobody of the test data.
    """
    data = config.data
    if test is None or not config.loss.needs_attributes:
        return None
    if data.test_attributes:
        known = read_attributes(data.test_attributes, model.schema)
        AttributeTest.of(model, test, known)  # refused now rather than after the training
        return known
    if data.test not in (None, data.train):
        return None
    known = read_attributes(data.attributes or training.source, model.schema)
    return known if any(known.of(sample) is not None for sample in test.gallery) else None
