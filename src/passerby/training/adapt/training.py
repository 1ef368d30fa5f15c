"""The adaptation of a trained model to unlabeled crops.

The first step re-estimates batch-norm statistics on the crops (:mod:`.statistics`). Then come rounds of: embed all
crops with the teacher, cluster them (:mod:`.clusters`), and train the student to tell the clusters apart by a memory of
them (:mod:`.memory`); the teacher, an exponential moving average of the student, embeds and is what the run gives.
After each step the quality is measured without labels (:mod:`.quality`), and the best state is kept, which may be the
start.

Identities are never read (:mod:`.crops`). A run that resumes from a checkpoint repeats the uninterrupted one to the
last bit on the same machine (:mod:`passerby.training.engine`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from passerby.data.images.augment import Augmentation
from passerby.data.loader import TrainLoader
from passerby.errors import ConfigError
from passerby.inference.embed import embed
from passerby.inference.session import TorchSession, network_inputs
from passerby.losses.base import LossParts
from passerby.losses.cluster_contrast import soft_cross_entropy
from passerby.metrics.calibration import write_calibration
from passerby.training.adapt.clusters import Clusters, cluster, neighbors
from passerby.training.adapt.config import AdaptConfig
from passerby.training.adapt.crops import check_enough, read_crops
from passerby.training.adapt.memory import ClusterMemory
from passerby.training.adapt.quality import measure_quality
from passerby.training.adapt.rounds import (
    RESULT,
    ROUNDS,
    START,
    STATISTICS,
    AdaptResult,
    Round,
    write_clusters,
)
from passerby.training.adapt.sampler import ClusterSampler
from passerby.training.adapt.start import load_start
from passerby.training.adapt.statistics import batch_norms, reestimate
from passerby.training.adapt.stop import best_of, reason_to_stop, summary, unusable
from passerby.training.base import Training
from passerby.training.checkpoint import save_model
from passerby.training.engine import OnCheckpoint, run_training
from passerby.training.inputs import INPUTS, check_same_inputs
from passerby.training.monitor import Monitor
from passerby.training.optimizer import build_optimizer, follow
from passerby.training.run import RunFolder
from passerby.types import Batch, EvalResult, Sample

STATE = "state.pt"
"""The file of a checkpoint that holds networks, optimizer and rounds."""
_BATCH = 64


def adapt(
    config: AdaptConfig | None,
    run: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = True,
    on_checkpoint: OnCheckpoint | None = None,
) -> AdaptResult:
    """Adapt a model as ``config`` says, into the folder ``run``, and return what became of it.

    Args:
        config: may be ``None`` with ``resume``: the run's own is read.
        on_checkpoint: called with the run folder after each round.

    Raises:
        ConfigError: if the folder exists (without ``resume``), or the model cannot be adapted.
        DatasetLayoutError: if there are too few crops, or crops of one camera only.
        TrainingError: if the loss is not finite; the batch is saved in the folder.
    """
    return run_training(
        AdaptConfig, AdaptTraining, config, run, resume=resume, show_progress=show_progress, on_checkpoint=on_checkpoint
    )


@dataclass(frozen=True, eq=False)
class _State:
    """The weights of one moment, and what they make of the crops."""

    weights: dict[str, Tensor]
    embedding: Tensor
    clusters: Clusters
    quality: float


class AdaptTraining(Training[Batch, AdaptResult]):
    """The rounds of an adaptation; its parts are built once, in the order in which they can fail."""

    config: AdaptConfig

    def __init__(self, config: AdaptConfig) -> None:
        self.config = config
        self.model, self.description = load_start(config.start, keypoints=config.data.keypoints)
        self.crops = read_crops(config.data)
        check_enough(self.crops, quick=config.quick)
        self.start, self.device = self.model.fingerprint, self.model.session.device
        self.teacher = self.model.network
        if config.quick and not batch_norms(self.teacher):
            raise ConfigError(
                f"{self.model.card.name} has no batch normalization, so --quick has nothing to re-estimate. Fix: leave "
                "--quick out, which trains the weights"
            )
        self.student = copy.deepcopy(self.teacher)
        self.teacher.requires_grad_(requires_grad=False)
        self.loader = self._loader()
        self.optimizer = build_optimizer(self.student, nn.Module(), config.optimizer)
        self.rounds: list[Round] = []
        self.losses: list[float] = []
        self.now: _State | None = None
        self.best: _State | None = None
        self.attributes: Tensor | None = None
        self.memory: ClusterMemory | None = None
        self.reason: str | None = None

    def _loader(self) -> TrainLoader:
        """Return the batches of crops, each labeled with its own number; the sampler is replaced in each round."""
        config, crops = self.config, self.crops
        numbered = [Sample(path=sample.path, pid=row) for row, sample in enumerate(crops.samples)]
        return TrainLoader(
            crops.source,
            numbered,
            self._sampler(torch.zeros(len(crops), dtype=torch.long)),
            size=self.model.size,
            augmentation=Augmentation(**config.augment.model_dump(), normalization=self.model.normalization),
            seed=config.seed,
            cache=config.data.cache,
            threads=config.data.threads,
            parts=self.model.part_maker(crops.source),
        )

    def _sampler(self, labels: Tensor) -> ClusterSampler:
        batch, cameras = self.config.batch, self.crops.cameras
        return ClusterSampler(labels, cameras, p=batch.p, k=batch.k, steps=self.steps, seed=self.config.seed)

    @property
    def steps(self) -> int:
        batch = self.config.batch
        return max(1, min(batch.steps, round(batch.passes * len(self.crops) / (batch.p * batch.k))))

    @property
    def finished(self) -> bool:  # type: ignore[override]
        return self.reason is not None

    def create(self, folder: RunFolder) -> None:
        folder.create(self.config)
        folder.write_json(INPUTS, self._digests())

    def check_inputs(self, folder: RunFolder) -> None:
        check_same_inputs(folder, self._digests())

    def _digests(self) -> dict[str, str]:
        return {"start": self.start, "data": self.crops.digest}

    def prepare(self, monitor: Monitor) -> None:
        """Find body parts; then measure the start and re-estimated statistics, unless the run goes on after a round."""
        self.monitor = monitor
        with monitor.preparing("finding body parts", len(self.crops)) as advance:
            self.loader.find_parts(advance)
        if self.rounds:
            return
        monitor.message(f"{self.crops.describe()}; {self.steps} batches of a round")
        start = self._measure(START)
        if self.config.statistics.use and batch_norms(self.teacher):
            reestimate(self.teacher, self._statistics_batches())
            if self._measure(STATISTICS).quality < start.quality:
                self.teacher.load_state_dict(start.weights)
                self.now, self.reason = start, unusable(self.rounds[0], self.config)
        self.student.load_state_dict(self.teacher.state_dict())

    def _statistics_batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of unchanged crops in the order of their contents, which is as good as random."""
        count = min(len(self.crops), max(_BATCH, self.config.statistics.images)) // _BATCH * _BATCH
        batches = [rows.tolist() for rows in torch.arange(count).split(_BATCH)]
        for images, cut in self.loader.unchanged(batches):
            yield network_inputs(images, cut, self.device, self.model.normalization)

    def batches(self, epoch: int) -> Iterator[Batch]:
        now, config = self.now, self.config
        assert now is not None
        self.losses = []
        self.memory = ClusterMemory(now.embedding, now.clusters, self.crops.cameras, config.contrast, self.device)
        self.loader.sampler = self._sampler(now.clusters.labels)
        self.student.train()
        return self.loader.epoch(epoch, to=self.device)

    def compute_loss(self, batch: Batch) -> LossParts:
        assert self.memory is not None
        output = self.student(*batch.inputs)
        loss = self.memory.loss(output.embedding, batch.labels)
        weight = self.config.contrast.attributes
        if self.attributes is not None and output.attributes is not None and weight:
            kept = weight * soft_cross_entropy(output.attributes, self.attributes[batch.labels])
            loss = LossParts(loss.total + kept, {**loss.parts, "attributes": kept})
        self.losses.append(loss.total.item())
        return loss

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        super().update()
        span = self.config.teacher * self.steps
        follow(self.teacher, self.student, 1 / max(span, 1))

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        return {"images": batch.images, "labels": batch.labels}

    def evaluate_after(self, epoch: int) -> EvalResult | None:
        """Measure the state after a round, and decide whether there is another; no labels are evaluated."""
        self._measure(f"round {epoch}")
        return None

    def _measure(self, name: str) -> _State:
        """Embed and cluster all crops, record the state, and keep it if it is the best so far."""
        how, embedding = self.config.clusters, self._embed()
        near = neighbors(embedding, self.crops.cameras, how)
        clusters = cluster(near, how)
        state = _State(_copy(self.teacher), embedding, clusters, measure_quality(embedding, self.crops.cameras))
        found = Round(
            name=name,
            images=len(self.crops),
            clusters=clusters.count,
            outliers=clusters.outliers,
            largest=clusters.largest,
            agreement=None if self.now is None else clusters.agreement(self.now.clusters),
            loss=sum(self.losses) / len(self.losses) if self.losses else None,
            quality=state.quality,
        )
        self.rounds.append(found)
        self.now = state
        if best_of(self.rounds, self.config) is found:
            self.best = state
        self.monitor.write_lines(ROUNDS, map(asdict, self.rounds))
        self.monitor.message(found.describe())
        self.reason = reason_to_stop(self.rounds, self.config)
        return state

    def _embed(self) -> Tensor:
        """Return the embeddings of all crops; the attributes that the start predicts are remembered."""
        session = TorchSession(self.teacher, normalization=self.model.normalization)
        with self.monitor.preparing("embedding", len(self.crops)) as advance:
            found = embed(
                session,
                self.crops.source,
                self.crops.samples,
                size=self.model.size,
                batch_size=_BATCH,
                threads=self.config.data.threads,
                parts=self.loader.parts,
                progress=advance,
            )
        if not self.rounds and found.attributes is not None:
            self.attributes = found.attributes.to(self.device)
        return found.embedding

    def save_state(self, folder: Path) -> None:
        best = self.best
        state = {
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rounds": [asdict(entry) for entry in self.rounds],
            "losses": self.losses,
            "attributes": self.attributes,
            "best": None if best is None else (best.weights, best.clusters.labels, best.quality),
            "clusters": None if self.now is None else self.now.clusters.labels,
        }
        torch.save(state, folder / STATE)

    def load_state(self, folder: Path) -> None:
        state = torch.load(folder / STATE, map_location=self.device, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rounds = [Round(**entry) for entry in state["rounds"]]
        self.losses, self.attributes = state["losses"], state["attributes"]
        nothing = torch.empty(0)
        if state["best"] is not None:
            weights, labels, quality = state["best"]
            self.best = _State(weights, nothing, Clusters(labels.cpu()), quality)
        if state["clusters"] is not None:  # those of before the round, to which the next ones are compared
            self.now = _State({}, nothing, Clusters(state["clusters"].cpu()), 0.0)

    def finish(self, folder: RunFolder) -> AdaptResult:
        """Write the best state, which may be the start, with the clusters that it makes."""
        best = self.best
        assert best is not None
        result = summary(self.rounds, self.config, self.reason)
        self.teacher.load_state_dict(best.weights)
        save_model(
            folder,
            self.teacher,
            options=self.description.options,
            size=self.model.size,
            normalization=self.model.normalization,
            parts={**self.model.parts, "keypoints": self.model.options.keypoints},
            evaluation=self.description.evaluation.model_dump(exclude_unset=True),
            weights={"start": {"source": self.config.start, "fingerprint": self.start}},
        )
        if not result.adapted and self.model.calibration is not None:  # of other weights it would mean nothing
            write_calibration(folder.path, self.model.calibration)
        write_clusters(folder.path, self.crops, best.clusters)
        folder.write_json(RESULT, result.to_dict())
        return result


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
