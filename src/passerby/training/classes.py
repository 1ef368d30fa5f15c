"""The training of a network on classes of any images, as on ImageNet before it learns people.

It is the training of :mod:`passerby.training.loop` with folders for people (``data.labels=folders``): nothing is said
about persons and cameras, and the result is the share of validation images whose class is found (top-1), where a folder
of these is given. With ``data.cache=false`` images stream from disk, in training as in validation.

:func:`train_classes` makes a run folder whose weights the recipes for people start from
(``model.backbone_weights=RUN``). Its ``inputs.json`` identifies images by their names and classes, as their contents
would take hours to read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from passerby.data.classes import read_classes
from passerby.data.dataset import Dataset
from passerby.data.images.decode import read_batches
from passerby.errors import ConfigError
from passerby.inference.keypoint_source import part_maker
from passerby.inference.session import evaluation_mode, network_inputs
from passerby.models.base import ReidModel
from passerby.training.config import TrainConfig
from passerby.training.engine import OnCheckpoint, run_training
from passerby.training.inputs import file_digests
from passerby.training.loop import ImageTraining
from passerby.training.run import RunFolder

RESULT = "classification.json"
"""The file of a run folder that holds the result."""
_BATCH_SIZE = 64


@dataclass(frozen=True)
class ClassResult:
    """The share of validation images whose class a model finds."""

    top1: float
    """The share of images with the highest score for their class."""
    images: int
    """The number of images."""
    classes: int
    """The number of classes that the model tells apart."""


def train_classes(
    config: TrainConfig | None,
    run: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = True,
    on_checkpoint: OnCheckpoint | None = None,
) -> ClassResult | None:
    """Train as ``config`` says into the folder ``run``; return top-1 where ``data.test`` names validation images.

    The arguments are those of :func:`passerby.training.loop.train`.

    Raises:
        ConfigError: if the config learns people, or the folder cannot be used.
        DatasetLayoutError: if the data are no folders of classes.
        TrainingError: if the loss is not finite; the batch is saved in the folder.
    """
    goes_on = resume and RunFolder(run).checkpoint_epoch() is not None
    build = partial(ClassTraining, resume=goes_on)
    return run_training(
        TrainConfig, build, config, run, resume=resume, show_progress=show_progress, on_checkpoint=on_checkpoint
    )


class ClassTraining(ImageTraining[ClassResult | None]):
    """The training on folders of classes."""

    def read_data(self) -> None:
        _check(self.config)
        data = self.config.data
        found = read_classes(data.train)
        self.dataset, self.classes = found.dataset, len(found.names)
        self.test = read_classes(data.test, found.names).dataset if data.test else None

    def input_digests(self) -> dict[str, str]:
        images = {"data.train": self.dataset} | ({} if self.test is None else {"data.test": self.test})
        return {name: _digest(found) for name, found in images.items()} | file_digests(self.config)

    def evaluate(self, model: ReidModel, folder: RunFolder | None) -> ClassResult | None:
        """Return the result on the validation images; ``None`` on other processes than the first."""
        result = None
        if self.test is not None and self.rank == 0:
            result = ClassResult(measure_top1(model, self.test, self.config), len(self.test.train), self.classes)
        self.wait()
        if result is not None and folder is not None:
            folder.write_json(RESULT, asdict(result))
        return result


def _check(config: TrainConfig) -> None:
    """Check that settings which mean people only are not asked for."""
    if config.data.labels != "folders":
        raise ConfigError(
            f"data.labels={config.data.labels} learns people. Fix: call passerby.training.loop.train, or set "
            "data.labels=folders"
        )
    if config.evaluate_every:
        raise ConfigError(
            f"evaluate_every={config.evaluate_every} evaluates searches for people, but classes are learned, which are "
            "measured at the end. Fix: leave it at 0"
        )
    if config.loss.needs_attributes:
        raise ConfigError(f"loss {config.loss.name} needs attributes of people. Fix: choose another loss")


@torch.no_grad()
def measure_top1(model: ReidModel, images: Dataset, config: TrainConfig) -> float:
    """Return the share of images for whose class a model's score is the highest; images stream from disk.

    Raises:
        ConfigError: if the model gives no scores.
    """
    data, samples = config.data, images.split("train")
    labels = torch.tensor([sample.pid for sample in samples])
    device, right, done = next(model.parameters()).device, 0, 0
    needs_parts = "parts" in model.card.inputs
    maker = part_maker(images.source, size=data.size, **config.parts.model_dump()) if needs_parts else None
    with evaluation_mode(model):
        for batch in read_batches(images.source, samples, data.size, batch_size=_BATCH_SIZE, threads=data.threads):
            now = slice(done, done := done + len(batch))
            whole, parts = (batch, None) if maker is None else maker([s.path for s in samples[now]], batch)
            logits = model(*network_inputs(whole, parts, device, data.normalization)).logits
            if logits is None:
                raise ConfigError(f"{model.card.name} gives no scores to measure. Fix: leave data.test out")
            right += int((logits.argmax(dim=1).cpu() == labels[now]).sum())
    return right / len(samples)


def _digest(images: Dataset) -> str:
    """Return a hex digest of the names of images and the numbers of their classes."""
    names = [[sample.path, sample.pid] for sample in images.train]
    return hashlib.blake2b(json.dumps(names).encode(), digest_size=16).hexdigest()
