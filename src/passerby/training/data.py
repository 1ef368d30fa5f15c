"""A config's data: the batches to train on, and the people to evaluate on."""

from __future__ import annotations

from passerby.data.dataset import Dataset, people
from passerby.data.images.augment import Augmentation
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.registry import load as load_dataset
from passerby.data.sampler import PKSampler
from passerby.errors import DatasetLayoutError
from passerby.evaluation.evaluate import check_evaluable
from passerby.inference.keypoint_source import part_maker
from passerby.models.base import ReidModel
from passerby.training.attributes import training_attributes
from passerby.training.config import TrainConfig
from passerby.types import Protocol


def count_people(dataset: Dataset) -> int:
    """How many there are to train on: the classes.

    Raises:
        DatasetLayoutError: if there are fewer than two.
    """
    number = len(people(dataset.split("train")))
    if number < 2:
        raise DatasetLayoutError(f"{dataset.name} has training images of {number} person; identities need at least 2")
    return number


def train_loader(config: TrainConfig, model: ReidModel, dataset: Dataset, *, rank: int, world: int) -> TrainLoader:
    """One process's batches, cut into parts and with attributes where model and loss ask for them."""
    samples = dataset.split("train")
    sampler = PKSampler(class_labels(samples), **config.sampler.model_dump(), seed=config.seed, rank=rank, world=world)
    sees_parts = "parts" in model.card.inputs
    return TrainLoader(
        dataset.source,
        samples,
        sampler,
        size=config.data.size,
        augmentation=Augmentation(**config.augment.model_dump()),
        seed=config.seed,
        cache=config.data.cache,
        threads=config.data.threads,
        attributes=training_attributes(config, model, dataset),
        parts=part_maker(dataset.source, size=config.data.size, **config.parts.model_dump()) if sees_parts else None,
    )


def evaluation_data(config: TrainConfig, training: Dataset) -> Dataset | None:
    """Where to evaluate: the named dataset; else the training one, if it has query and gallery. Checked beforehand."""
    test = load_dataset(config.data.test) if config.data.test else training
    if not config.data.test and not (training.query and training.gallery):
        return None
    check_evaluable(test, Protocol())
    return test
