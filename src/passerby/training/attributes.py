"""The attributes of a run's people: those to learn from, and those to compare predictions with."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.dataset import Dataset
from passerby.errors import ConfigError
from passerby.evaluation.attribute_test import AttributeTest
from passerby.models.base import ReidModel
from passerby.training.config import TrainConfig

GIVE_ATTRIBUTES = "name the .mat or .csv of this data's people with --set data.attributes=FILE"
"""The way to give training data its attributes."""


def training_attributes(config: TrainConfig, model: ReidModel, dataset: Dataset) -> Int64[Tensor, "n g"] | None:
    """Return the classes of the training images by the model's schema; ``None`` for a loss without them.

    Raises:
        ConfigError: if the model predicts no attributes, or others than the table has.
        DatasetLayoutError: if there is no table, or it describes none of the images.
    """
    if not config.loss.needs_attributes:
        return None
    if model.schema is None:
        raise ConfigError(f"{config.model.name} predicts no attributes. Fix: leave them out of loss.tasks")
    known = read_attributes(config.data.attributes or dataset.source, model.schema, fix=GIVE_ATTRIBUTES)
    return torch.from_numpy(known.of_all(dataset.split("train")))


def evaluation_attributes(
    config: TrainConfig, model: ReidModel, training: Dataset, test: Dataset | None
) -> Attributes | None:
    """Return the attributes of the test people, where the model learns to predict them and a table has them.

    Test data other than the training dataset's own has other people, so only ``data.test_attributes`` describes them.

    Raises:
        ConfigError: as for training.
        DatasetLayoutError: if ``data.test_attributes`` describes none of the test data's people.
    """
    data = config.data
    if test is None or not config.loss.needs_attributes:
        return None
    if data.test_attributes:
        known = read_attributes(data.test_attributes, model.schema)
        AttributeTest.of(model, test, known)  # raises now rather than after the training
        return known
    if data.test not in (None, data.train):
        return None
    known = read_attributes(data.attributes or training.source, model.schema, fix=GIVE_ATTRIBUTES)
    return known if any(known.of(sample) is not None for sample in test.gallery) else None
