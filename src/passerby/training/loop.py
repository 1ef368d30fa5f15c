"""The training of re-identification models.

Accelerate decides devices, precision, processes and gradient accumulation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor

from passerby.data.dataset import Dataset, people
from passerby.data.images.augment import Augmentation
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.registry import load as load_dataset
from passerby.data.sampler import GraphSampler, create_sampler
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.inference.keypoint_source import part_maker
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.losses.base import LossParts
from passerby.losses.registry import create_loss
from passerby.models.base import ReidModel
from passerby.models.registry import check_size, create_model, model_card
from passerby.training.attributes import evaluation_attributes, training_attributes
from passerby.training.base import R, Training
from passerby.training.checkpoint import save_model
from passerby.training.config import TrainConfig
from passerby.training.engine import OnCheckpoint, run_training
from passerby.training.initial import FILES, differences, load_initial_weights, origins
from passerby.training.inputs import INPUTS, check_same_inputs, digests
from passerby.training.monitor import Monitor
from passerby.training.neighbors import set_neighbors
from passerby.training.optimizer import AveragedWeights, build_optimizer
from passerby.training.run import RunFolder
from passerby.types import Batch, EvalResult, Protocol


def train(
    config: TrainConfig | None,
    run: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = True,
    on_checkpoint: OnCheckpoint | None = None,
) -> EvalResult | None:
    """Train as ``config`` says into the folder ``run``, then evaluate where there are query and gallery images.

    Args:
        config: may be ``None`` with ``resume``: the run's own is read.
        on_checkpoint: called with the run folder after each checkpoint;
            :func:`~passerby.figures.training_curves.save_loss_curves` draws ``losses.png``.

    Raises:
        ConfigError: if the folder exists (without ``resume``) or holds nothing to resume from.
        DatasetLayoutError: if the data cannot be trained on.
        TrainingError: if the loss is not finite; the batch is saved in the folder.
    """
    goes_on = resume and RunFolder(run).checkpoint_epoch() is not None
    build = partial(ReidTraining, resume=goes_on)
    return run_training(
        TrainConfig, build, config, run, resume=resume, show_progress=show_progress, on_checkpoint=on_checkpoint
    )


class ImageTraining(Training[Batch, R]):
    """The training of a model on the images of a dataset; its parts are built once, in the order they can fail in."""

    config: TrainConfig
    dataset: Dataset
    """The training images, whose person IDs are the classes."""
    test: Dataset | None
    """The images to evaluate on."""

    def __init__(self, config: TrainConfig, *, resume: bool) -> None:
        self.config = config
        check_distance(model_card(config.model.name), config.evaluation.distance)  # before any work
        self.read_data()
        self.accelerator = _accelerator(config)
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.accumulate = config.accumulate
        model = build_model(config, num_classes=count_people(self.dataset))
        self.weights = None if resume else load_initial_weights(model, config)
        self.loader = train_loader(config, model, self.dataset, rank=self.rank, world=self.world)
        loss = create_loss(config.loss)
        optimizer = build_optimizer(model, loss, config.optimizer)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.check(model)
        self.loss = self.accelerator.prepare(loss) if any(True for _ in loss.parameters()) else loss
        self.average = AveragedWeights(model, config.average) if config.average else None
        if self.average is not None:
            self.accelerator.register_for_checkpointing(self.average)

    @abstractmethod
    def read_data(self) -> None:
        """Read ``dataset`` and ``test``, after what needs no data is checked."""

    def check(self, model: ReidModel) -> None:
        """Check what an evaluation of the model needs."""

    @abstractmethod
    def input_digests(self) -> dict[str, str]:
        """Return digests of what the training reads."""

    @abstractmethod
    def evaluate(self, model: ReidModel, folder: RunFolder | None) -> R:
        """Return the evaluation of the model, and write it where there is a ``folder``; called on all processes."""

    @property
    def steps(self) -> int:
        return len(self.loader)

    def create(self, folder: RunFolder) -> None:
        folder.create(self.config)
        folder.write_json(INPUTS, self.input_digests())
        if self.weights is not None:
            part, report = self.weights
            folder.write_json(FILES[part], asdict(report))

    def check_inputs(self, folder: RunFolder) -> None:
        check_same_inputs(folder, self.input_digests())

    def prepare(self, monitor: Monitor) -> None:
        """Find the body parts of all training images: process 0 finds them, and the others read what it found."""
        if self.weights is not None:
            part, report = self.weights
            monitor.message("; ".join([f"initial weights of the {part}: {report}", *differences(self.config)]))
        images = len(self.loader.samples)
        with self.accelerator.main_process_first(), monitor.preparing("finding body parts", images) as advance:
            self.loader.find_parts(advance)

    def batches(self, epoch: int) -> Iterator[Batch]:
        sampler = self.loader.sampler
        if isinstance(sampler, GraphSampler):
            sampler.epoch = epoch
            set_neighbors(sampler, self.loader, self.model, self.accelerator)
        self.model.train()
        return self.loader.epoch(epoch, to=self.accelerator.device)

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        return {"images": batch.images, "labels": batch.labels}

    def synchronization(self, *, update: bool) -> AbstractContextManager[None]:
        return nullcontext() if update else self.accelerator.no_sync(self.model)

    def compute_loss(self, batch: Batch) -> LossParts:
        loss: LossParts = self.loss(self.model(*batch.inputs), batch)
        return loss

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss / self.accumulate)

    def update(self) -> None:
        super().update()
        if self.average is not None:
            self.average.update(self.accelerator.unwrap_model(self.model))

    def trained(self, *, keep_fp32_wrapper: bool = True) -> ReidModel:
        """Return the network whose embeddings count: the average of its weights where there is one."""
        if self.average is not None:
            return self.average.network
        network: ReidModel = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=keep_fp32_wrapper)
        return network

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    def save_state(self, folder: Path) -> None:
        self.accelerator.save_state(str(folder))

    def load_state(self, folder: Path) -> None:
        self.accelerator.load_state(str(folder))

    def finish(self, folder: RunFolder) -> R:
        config = self.config
        # without the wrapper of mixed precision: the number is the one that `passerby evaluate` gives
        model = self.trained(keep_fp32_wrapper=False)
        if self.rank == 0:
            save_model(
                folder,
                model,
                options=config.model.options,
                size=config.data.size,
                normalization=config.data.normalization,
                parts=config.parts.model_dump(),
                evaluation=config.evaluation.model_dump(),
                weights=origins(folder),
            )
        return self.evaluate(model, folder)


class ReidTraining(ImageTraining[EvalResult | None]):
    """The training of a re-identification model: identities are learned, and searched for in the test data."""

    def read_data(self) -> None:
        config = self.config
        if config.data.labels != "people":
            raise ConfigError(
                f"data.labels={config.data.labels} learns no people. Fix: call "
                "passerby.training.classes.train_classes, or set data.labels=people"
            )
        self.dataset = load_dataset(config.data.train)
        self.test = evaluation_data(config, self.dataset)

    def check(self, model: ReidModel) -> None:
        self.evaluation_attributes = evaluation_attributes(self.config, model, self.dataset, self.test)

    def input_digests(self) -> dict[str, str]:
        return digests(self.config, self.dataset, self.test)

    def evaluate_after(self, epoch: int) -> EvalResult | None:
        every = self.config.evaluate_every
        due = every and epoch % every == 0 and epoch < self.config.epochs
        return self.evaluate(self.trained(), None) if due else None

    def evaluate(self, model: ReidModel, folder: RunFolder | None) -> EvalResult | None:
        """Return the evaluation on the test data; ``None`` on other processes than the first."""
        result = None
        if self.test is not None and self.rank == 0:
            trained = evaluation_model(model, self.config)
            result = trained.evaluate(self.test, attributes=self.evaluation_attributes)
        self.wait()
        if result is not None and folder is not None:
            folder.write_json("metrics.json", result.to_dict())
        return result


def build_model(config: TrainConfig, *, num_classes: int) -> ReidModel:
    """Return the config's model with fresh weights from its seed."""
    check_size(config.model.name, num_classes=num_classes, **config.model.options)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return create_model(config.model.name, num_classes=num_classes, **config.model.options)


def evaluation_model(network: ReidModel, config: TrainConfig) -> Model:
    """Return the network as the run's evaluations use it, on the device that it is on."""
    how, parts = config.evaluation, config.parts
    options = InferenceOptions(
        device=str(next(network.parameters()).device),
        flip_tta=how.flip_tta,
        normalize=how.normalize,
        keypoints=parts.keypoints,
    )
    cut = parts.model_dump(exclude={"keypoints"})
    return Model(
        network,
        config.data.size,
        options,
        parts=cut,
        draws=how.draws,
        seed=how.seed,
        distance=how.distance,
        normalization=config.data.normalization,
    )


def count_people(dataset: Dataset) -> int:
    """Count the people to train on: the classes.

    Raises:
        DatasetLayoutError: if there are fewer than two.
    """
    number = len(people(dataset.split("train")))
    if number < 2:
        raise DatasetLayoutError(
            f"{dataset.name} has training images of {number} person; identities need at least 2. Fix: give other data"
        )
    return number


def train_loader(config: TrainConfig, model: ReidModel, dataset: Dataset, *, rank: int, world: int) -> TrainLoader:
    """Return the batches of one process, cut into parts and with attributes where model and loss need them."""
    samples = dataset.split("train")
    how = config.sampler.model_dump()
    sampler = create_sampler(class_labels(samples), **how, seed=config.seed, rank=rank, world=world)
    needs_parts = "parts" in model.card.inputs
    if needs_parts and isinstance(sampler, GraphSampler):
        raise ConfigError(
            f"sampler.order=graph embeds whole images, but {model.card.name} takes body parts. Fix: --set "
            "sampler.order=people"
        )
    return TrainLoader(
        dataset.source,
        samples,
        sampler,
        size=config.data.size,
        augmentation=Augmentation(**config.augment.model_dump(), normalization=config.data.normalization),
        seed=config.seed,
        cache=config.data.cache,
        threads=config.data.threads,
        attributes=training_attributes(config, model, dataset),
        parts=part_maker(dataset.source, size=config.data.size, **config.parts.model_dump()) if needs_parts else None,
    )


def evaluation_data(config: TrainConfig, training: Dataset) -> Dataset | None:
    """Return the dataset to evaluate on, checked: the named one, else the training one if it has query and gallery."""
    test = load_dataset(config.data.test) if config.data.test else training
    if not config.data.test and not (training.query and training.gallery):
        return None
    check_evaluable(test, Protocol())
    return test


def _accelerator(config: TrainConfig) -> Accelerator:
    # with several processes, parameters without a gradient must be announced
    unused = DistributedDataParallelKwargs(find_unused_parameters=config.loss.leaves_parameters_out)
    # a second run in the same process may need another precision, which accelerate's shared state would not accept
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=config.precision, kwargs_handlers=[unused])
    if config.precision == "fp16" and accelerator.device.type != "cuda":
        raise ConfigError(f"precision=fp16 needs a CUDA device, this is {accelerator.device.type}. Fix: set bf16 or no")
    return accelerator
