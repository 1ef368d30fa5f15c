"""Training of the pose network: pictures with joints in memory, windows cut anew each time, SimCC's loss.

Batches are a function of (seed, epoch, step), the learning rate one of progress, and nothing else is random: a run that
resumes from an epoch's checkpoint repeats the uninterrupted one's losses to the last bit on the same machine.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from passerby.config import read_as
from passerby.data.dataset import Dataset
from passerby.data.keypoints.augment import PoseAugmentation
from passerby.data.keypoints.dataset import PoseSet, read_pose_set
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.registry import load as load_dataset
from passerby.data.source import SETTINGS
from passerby.errors import ConfigError, DatasetLayoutError, TrainingError, WeightsError
from passerby.figures.training_curves import save_loss_curves
from passerby.losses.pose import coordinate_loss, presence_loss
from passerby.losses.reid import LossParts
from passerby.metrics.pck import keypoint_distances, keypoint_heights, summary
from passerby.models.keypoints.estimator import NetworkPoseEstimator, load_pose_network, save_pose_network
from passerby.models.keypoints.network import KeypointScores, PoseNetwork
from passerby.training.monitor import Monitor, preparing
from passerby.training.pose_config import PoseConfig, PoseLossConfig
from passerby.training.run import RunFolder
from passerby.training.schedule import lr_factor
from passerby.types import Sample

STATE = "state.pt"


def train_pose(
    config: PoseConfig | None,
    run: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = True,
) -> dict[str, Any] | None:
    """Train as ``config`` says into the folder ``run``; PCK where query and gallery pictures have joints.

    Args:
        config: may be ``None`` with ``resume``: the run's own is read.

    Raises:
        ConfigError: if the folder exists (without ``resume``) or holds nothing to resume from.
        DatasetLayoutError: if there are no pictures with joints.
        TrainingError: if the loss is not finite.
    """
    folder = RunFolder(run)
    if resume:
        config = read_as(PoseConfig, folder.config)
        folder.latest_checkpoint()
    elif config is None:
        raise ConfigError("training needs a config; passerby.recipes.pose.pose() gives one")
    elif folder.path.exists():
        folder.create(config)  # refuses, before any work
    return _Training(config, folder, resume=resume, show=show_progress).run()


class _Training:
    """One run's objects, built once, in the order in which they can fail."""

    def __init__(self, config: PoseConfig, folder: RunFolder, *, resume: bool, show: bool) -> None:
        self.config, self.folder, self.resume, self.show = config, folder, resume, show
        self.dataset = load_dataset(config.data.train)
        self.test = load_dataset(config.data.test) if config.data.test else self.dataset
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build_network(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay
        )
        self.augmentation = PoseAugmentation(**config.augment.model_dump())
        self.people = self._read(self.dataset, self._training_samples())
        if len(self.people) < 2:
            raise DatasetLayoutError(
                f"{self.dataset.name} at {self.dataset.source.root} has {len(self.people)} training pictures with "
                "joints; a batch needs 2 at least: give more, or annotate them"
            )
        self.batch = min(config.batch, len(self.people))
        self.steps = len(self.people) // self.batch

    def _training_samples(self) -> tuple[Sample, ...]:
        if not self.config.data.all_splits:
            return self.dataset.split("train")
        if _of_one_world(self.dataset, self.test):
            raise ConfigError(
                f"data.all_splits trains on all people of {self.dataset.source.root}, so {self.test.source.root} has "
                "nobody else to measure: name other people with --test-data (drawn ones: of another seed)"
            )
        return (*self.dataset.train, *self.dataset.query, *self.dataset.gallery)

    def _read(self, dataset: Dataset, samples: Sequence[Sample]) -> PoseSet:
        data = self.config.data
        with preparing("reading pictures", len(samples), show=self.show) as advance:
            return read_pose_set(dataset.source, samples, data.size, threads=data.threads, progress=advance)

    def run(self) -> dict[str, Any] | None:
        first = self._continue() if self.resume else self._start()
        total = self.config.epochs * self.steps
        with Monitor(self.folder, total, done=first * self.steps, active=True, show=self.show) as monitor:
            for epoch in range(first, self.config.epochs):
                self._epoch(epoch, monitor)
                if (epoch + 1) % self.config.checkpoint_every == 0 or epoch + 1 == self.config.epochs:
                    self._checkpoint(epoch + 1)
        return self._finish()

    def _start(self) -> int:
        self.folder.create(self.config)
        return 0

    def _continue(self) -> int:
        checkpoint = self.folder.latest_checkpoint()
        try:
            state = torch.load(checkpoint / STATE, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:  # noqa: BLE001 - a damaged file can break its reader anywhere
            raise WeightsError(
                f"{checkpoint} cannot be resumed from ({error}); train anew under another --run"
            ) from None
        epoch = int(checkpoint.name.removeprefix("epoch-"))
        self.folder.cut_log(epoch * self.steps)
        return epoch

    def _epoch(self, epoch: int, monitor: Monitor) -> None:
        self.network.train()
        order = torch.randperm(len(self.people), generator=self._generator(epoch, 0))
        for step in range(self.steps):
            started = time.perf_counter()
            rows = order[step * self.batch : (step + 1) * self.batch]
            factor = lr_factor(epoch + step / self.steps, schedule=self.config.schedule, epochs=self.config.epochs)
            lr = self.config.optimizer.lr * factor
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            loss = self._step(rows, self._generator(epoch, step + 1), monitor.step + 1)
            monitor.log(epoch, loss, lr, images_per_second=len(rows) / (time.perf_counter() - started))

    def _generator(self, epoch: int, place: int) -> Generator:
        return Generator().manual_seed(self.config.seed * 1_000_000_007 + epoch * (self.steps + 1) + place)

    def _step(self, rows: Tensor, generator: Generator, step: int) -> LossParts:
        people = self.people
        images, keypoints, confidence = self.augmentation(
            people.images[rows].to(self.device),
            people.keypoints[rows].to(self.device),
            people.confidence[rows].to(self.device),
            self.network.size,
            generator,
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            loss = pose_loss(self.network, images, keypoints, confidence, self.config.loss)
        if not math.isfinite(loss.total.item()):
            raise TrainingError(
                f"the loss is not finite at step {step}; lower optimizer.lr, then start again or resume from the last "
                "checkpoint"
            )
        self.optimizer.zero_grad()
        loss.total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return loss

    def _checkpoint(self, epoch: int) -> None:
        partial = self.folder.checkpoints / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.save({"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}, partial / STATE)
        self.folder.adopt_checkpoint(partial, epoch, world=1)
        save_loss_curves(self.folder.log(), self.folder.path / "losses.png")

    def _finish(self) -> dict[str, Any] | None:
        about = {
            "recipe": self.config.recipe,
            "images": len(self.people),
            "people": _settings_of(self.dataset),
            "epochs": self.config.epochs,
            "seed": self.config.seed,
        }
        save_pose_network(self.network, self.folder.path, about)
        samples = (*self.test.query, *self.test.gallery)
        if not samples:
            return None
        people = self._read(self.test, samples)
        if not bool((people.confidence > 0).any()):
            return None
        estimator = NetworkPoseEstimator(load_pose_network(self.folder.path))  # as it was stored
        result = measure_pck(estimator, people)
        self.folder.write_json("metrics.json", result)
        return result


def build_network(config: PoseConfig) -> PoseNetwork:
    """The config's network with fresh weights from its seed; the caller's randomness is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return PoseNetwork(size=config.network.size, width=config.network.channels, bins=config.network.bins)


def pose_loss(
    network: PoseNetwork, images: Tensor, keypoints: Tensor, confidence: Tensor, config: PoseLossConfig
) -> LossParts:
    """Columns + rows + what is in the picture, of ``(b, 3, h, w)`` with ``joints (b, 18, 2)`` and ``sure (b, 18)``.

    Of joints that nobody labeled (``sure`` below 0) nothing is learned.
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
    """PCK of an estimator on pictures with known joints: of all that are in the picture, and of the seen ones."""
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
    """How the training people were drawn, where they were."""
    content = dataset.source.sidecar(SETTINGS)
    if content is None:
        return None
    settings: dict[str, Any] = json.loads(content)
    return settings


def _of_one_world(one: Dataset, other: Dataset) -> bool:
    """Whether the people of both are the same: of one place, or drawn of one seed."""
    seeds = [(_settings_of(dataset) or {}).get("seed") for dataset in (one, other)]
    return one.source.place == other.source.place or (seeds[0] is not None and seeds[0] == seeds[1])
