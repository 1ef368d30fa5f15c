"""The training of the pose network: images with keypoints in memory, a new random window per step, SimCC's loss."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from passerby.data.dataset import Dataset, Split
from passerby.data.digest import dataset_digest
from passerby.data.keypoints.augment import PoseAugmentation
from passerby.data.keypoints.dataset import PoseSet, read_pose_set
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.registry import load as load_dataset
from passerby.data.source import SETTINGS
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.losses.base import LossParts
from passerby.losses.pose import coordinate_loss, presence_loss
from passerby.metrics.pck import keypoint_distances, keypoint_heights, summary
from passerby.models.keypoints.estimator import NetworkPoseEstimator, load_pose_network, save_pose_network
from passerby.models.keypoints.network import KeypointScores, PoseNetwork
from passerby.training.base import Training
from passerby.training.engine import OnCheckpoint, run_training
from passerby.training.inputs import INPUTS, check_same_inputs
from passerby.training.monitor import preparing
from passerby.training.pose.config import PoseConfig, PoseLossConfig
from passerby.training.run import RunFolder
from passerby.types import Sample

STATE = "state.pt"
"""The file of a checkpoint that holds network and optimizer."""
MAX_GRADIENT = 5.0
"""The norm to which gradients are clipped."""


def train_pose(
    config: PoseConfig | None,
    run: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = True,
    on_checkpoint: OnCheckpoint | None = None,
) -> dict[str, Any] | None:
    """Train as ``config`` says into the folder ``run``; return PCK where query and gallery images have keypoints.

    Args:
        config: may be ``None`` with ``resume``: the run's own is read.
        on_checkpoint: called with the run folder after each checkpoint, as for :func:`~passerby.training.loop.train`.

    Raises:
        ConfigError: if the folder exists (without ``resume``) or holds nothing to resume from.
        DatasetLayoutError: if there are no images with keypoints.
        TrainingError: if the loss is not finite; the batch is saved in the folder.
    """
    build = partial(PoseTraining, show_progress=show_progress)
    return run_training(
        PoseConfig, build, config, run, resume=resume, show_progress=show_progress, on_checkpoint=on_checkpoint
    )


class PoseBatch(NamedTuple):
    """An augmented batch on the network's device."""

    images: Float[Tensor, "b 3 h w"]
    """The images, normalized."""
    keypoints: Float[Tensor, "b 18 2"]
    """The places of the keypoints, x and y as shares of width and height."""
    confidence: Float[Tensor, "b 18"]
    """The visibility of each: 1 visible, in (0, 1) hidden, 0 outside the image, below 0 unlabeled."""


class PoseTraining(Training[PoseBatch, "dict[str, Any] | None"]):
    """The training of the pose network; its parts are built once, in the order in which they can fail."""

    config: PoseConfig

    def __init__(self, config: PoseConfig, *, show_progress: bool) -> None:
        self.config, self.show_progress = config, show_progress
        self.dataset = load_dataset(config.data.train)
        self.test = load_dataset(config.data.test) if config.data.test else self.dataset
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build_network(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        lr = config.optimizer.lr
        group = {"params": list(self.network.parameters()), "base_lr": lr}
        self.optimizer = torch.optim.AdamW([group], lr=lr, weight_decay=config.optimizer.weight_decay)
        self.augmentation = PoseAugmentation(**config.augment.model_dump())
        self.people = self._read(self.dataset, self._training_samples())
        if len(self.people) < 2:
            raise DatasetLayoutError(
                f"{self.dataset.name} at '{self.dataset.source.root}' has {len(self.people)} training images with "
                "keypoints, expected at least 2. Fix: add images, or annotate them"
            )
        self.batch = min(config.batch, len(self.people))

    def _training_samples(self) -> tuple[Sample, ...]:
        if not self.config.data.all_splits:
            return self.dataset.split("train")
        if _same_people(self.dataset, self.test):
            raise ConfigError(
                f"data.all_splits trains on all people of '{self.dataset.source.root}', so '{self.test.source.root}' "
                "has no other people to measure on. Fix: name others with --test-data (synthetic: another seed)"
            )
        return (*self.dataset.train, *self.dataset.query, *self.dataset.gallery)

    def _read(self, dataset: Dataset, samples: Sequence[Sample]) -> PoseSet:
        data = self.config.data
        with preparing("reading images", len(samples), show=self.show_progress) as advance:
            return read_pose_set(dataset.source, samples, data.size, threads=data.threads, progress=advance)

    @property
    def steps(self) -> int:
        return len(self.people) // self.batch

    def create(self, folder: RunFolder) -> None:
        folder.create(self.config)
        folder.write_json(INPUTS, self._digests())

    def check_inputs(self, folder: RunFolder) -> None:
        check_same_inputs(folder, self._digests())

    def _digests(self) -> dict[str, str]:
        """Return what identifies the images, as for :func:`~passerby.training.inputs.digests`."""
        splits: tuple[Split, ...] = ("train", "query", "gallery") if self.config.data.all_splits else ("train",)
        found = {"data.train": dataset_digest(self.dataset, *splits)}
        return found | {"data.test": dataset_digest(self.test, "query", "gallery")}

    def batches(self, epoch: int) -> Iterator[PoseBatch]:
        self.network.train()
        order = torch.randperm(len(self.people), generator=self._generator(epoch, 0))
        for step in range(self.steps):
            rows = order[step * self.batch : (step + 1) * self.batch]
            yield self._augmented(rows, self._generator(epoch, step + 1))

    def _generator(self, epoch: int, place: int) -> Generator:
        return Generator().manual_seed(self.config.seed * 1_000_000_007 + epoch * (self.steps + 1) + place)

    def _augmented(self, rows: Tensor, generator: Generator) -> PoseBatch:
        people, device = self.people, self.device
        images, keypoints = people.images[rows].to(device), people.keypoints[rows].to(device)
        confidence = people.confidence[rows].to(device)
        return PoseBatch(*self.augmentation(images, keypoints, confidence, self.network.size, generator))

    def tensors(self, batch: PoseBatch) -> dict[str, Tensor]:
        return batch._asdict()

    def compute_loss(self, batch: PoseBatch) -> LossParts:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            return pose_loss(self.network, *batch, self.config.loss)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT)
        super().update()

    def save_state(self, folder: Path) -> None:
        torch.save({"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}, folder / STATE)

    def load_state(self, folder: Path) -> None:
        state = torch.load(folder / STATE, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:  # checkpoints of version 0.1 do not store it
            group["base_lr"] = self.config.optimizer.lr

    def finish(self, folder: RunFolder) -> dict[str, Any] | None:
        about = {
            "recipe": self.config.recipe,
            "images": len(self.people),
            "people": _settings_of(self.dataset),
            "epochs": self.config.epochs,
            "seed": self.config.seed,
        }
        save_pose_network(self.network, folder.path, about)
        samples = (*self.test.query, *self.test.gallery)
        if not samples:
            return None
        people = self._read(self.test, samples)
        if not bool((people.confidence > 0).any()):
            return None
        stored = load_pose_network(folder.path)  # its matrices have half precision
        estimator = NetworkPoseEstimator(stored)
        result = measure_pck(estimator, people)
        folder.write_json("metrics.json", result)
        return result


def build_network(config: PoseConfig) -> PoseNetwork:
    """Return the config's network with fresh weights from its seed; the caller's random state is unchanged."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return PoseNetwork(size=config.network.size, width=config.network.channels, bins=config.network.bins)


def pose_loss(
    network: PoseNetwork,
    images: Float[Tensor, "b 3 h w"],
    keypoints: Float[Tensor, "b 18 2"],
    confidence: Float[Tensor, "b 18"],
    config: PoseLossConfig,
) -> LossParts:
    """Return the loss of columns and rows (``place``) plus that of presence in the image (``inside``).

    Unlabeled keypoints (``confidence`` below 0) have no gradient.

    Args:
        images: the images, normalized.
        keypoints: x and y as shares of width and height.
        confidence: the visibility, as in :class:`PoseBatch`.
    """
    scores = KeypointScores(*(part.float() for part in network(images)))
    weight = torch.where(confidence >= 1, 1.0, torch.where(confidence > 0, config.hidden, 0.0))
    sigma = config.sigma * network.bins
    place = coordinate_loss(scores.x, keypoints[..., 0], weight, sigma=sigma) + coordinate_loss(
        scores.y, keypoints[..., 1], weight, sigma=sigma
    )
    inside = config.inside * presence_loss(scores.inside, (confidence > 0).float(), confidence >= 0)
    return LossParts(place + inside, {"place": place, "inside": inside})


def measure_pck(estimator: PoseEstimator, people: PoseSet) -> dict[str, Any]:
    """Return the PCK of an estimator on images with known keypoints: of all in the image, and of the visible ones."""
    found = estimator([str(row) for row in range(len(people))], people.images)
    height, width = people.images.shape[2:]
    distances = keypoint_distances(torch.from_numpy(found.xy), people.keypoints, aspect=width / height)
    inside, seen = people.confidence > 0, people.confidence >= 1
    heights = keypoint_heights(people.keypoints, inside)
    return {
        "box": summary(distances, inside, KEYPOINT_NAMES),
        "box_seen": summary(distances, seen, KEYPOINT_NAMES),
        "joints": summary(distances, inside, KEYPOINT_NAMES, heights=heights),
    }


def _settings_of(dataset: Dataset) -> dict[str, Any] | None:
    """Return the settings of a synthetic dataset; ``None`` for other data."""
    content = dataset.source.sidecar(SETTINGS)
    if content is None:
        return None
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError):  # another program's file
        return None
    return settings if isinstance(settings, dict) else None


def _same_people(one: Dataset, other: Dataset) -> bool:
    """Return whether both datasets have the same people: one path, or synthetic people of one seed."""
    seeds = [(_settings_of(dataset) or {}).get("seed") for dataset in (one, other)]
    return one.source.place == other.source.place or (seeds[0] is not None and seeds[0] == seeds[1])
