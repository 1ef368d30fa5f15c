"""The settings of an adaptation as one frozen value, which is written into the run folder and reloads identically."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config import Frozen
from passerby.limits import MAX_SEED
from passerby.training.config import MAX_EPOCHS, AugmentConfig, OptimizerConfig, ScheduleConfig


class CropsConfig(Frozen):
    """The unlabeled crops."""

    place: str = ""
    """The crops: a folder, an archive, ``NAME:PATH``; identities are never read from it."""
    split: Literal["auto", "train", "query", "gallery", "all"] = "auto"
    """The split of a dataset; ``auto``: its training images if it has some, else all images."""
    cameras: bool = True
    """A switch to use camera IDs where they are known."""
    cache: bool = True
    """A switch to keep the resized crops in memory (images × 3 × height × width bytes)."""
    threads: int = Field(2, ge=1, le=1024)
    """The number of threads that decode images."""
    keypoints: str | None = None
    """The keypoint source of models that see body parts; ``None``: as in the run."""


class StatisticsConfig(Frozen):
    """The re-estimation of batch-norm statistics on the crops, which is the first step, and all of ``quick``."""

    use: bool = True
    """A switch to re-estimate them before the first round."""
    images: int = Field(4096, ge=2)
    """The largest number of crops that they are estimated from."""


class ClustersConfig(Frozen):
    """The clustering of the crops: DBSCAN on k-reciprocal Jaccard distances."""

    k1: int = Field(30, ge=1)
    """The number of neighbors of an encoding; it is lowered to a 60th of the number of crops, but not below 10."""
    k2: int = Field(6, ge=1)
    """The number of neighbors over which encodings are averaged."""
    eps: float = Field(0.4, gt=0, lt=1)
    """The largest distance of neighbors."""
    min_samples: int = Field(4, ge=2)
    """The number of neighbors, itself included, that make an image the core of a cluster."""
    center_cameras: bool = True
    """A switch to subtract each camera's mean embedding before distances are computed, where cameras are known."""


class BatchConfig(Frozen):
    """The batches: P clusters × K images each, of different cameras where they are known."""

    p: int = Field(16, ge=2)
    k: int = Field(4, ge=2)
    steps: int = Field(400, ge=1, le=MAX_EPOCHS)
    """The largest number of batches of a round."""
    passes: float = Field(2.0, gt=0)
    """The number of times that a round visits each crop on average; small data therefore take fewer ``steps``."""


class ContrastConfig(Frozen):
    """The contrast of images with the memory of clusters."""

    temperature: float = Field(0.05, gt=0)
    momentum: float = Field(0.2, ge=0, lt=1)
    """The share of a cluster's vector that stays at each update."""
    update: Literal["mean", "hardest"] = "mean"
    """The images of a batch that update their cluster's vector: their ``mean``, or the one that is ``hardest``."""
    cameras: float = Field(0.5, ge=0)
    """The weight of the contrast with the vectors of a cluster's cameras, where these are known; 0 leaves it out."""
    negatives: int = Field(50, ge=1)
    """The number of the nearest vectors of other clusters' cameras that it compares with."""
    attributes: float = Field(1.0, ge=0)
    """The weight of what keeps predicted attributes as the start predicts them, for a model that predicts some."""


class AdaptConfig(Frozen):
    """All settings that decide the numbers of an adaptation."""

    recipe: Literal["adapt"] = "adapt"
    start: str = ""
    """The run folder of the model to adapt."""
    quick: bool = False
    """A switch to re-estimate batch-norm statistics only."""
    data: CropsConfig = CropsConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    clusters: ClustersConfig = ClustersConfig()
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig(flip=0.5, pad=0, erase=0.5, erase_fill="mean")
    contrast: ContrastConfig = ContrastConfig()
    optimizer: OptimizerConfig = OptimizerConfig(name="adam", lr=3.5e-4, weight_decay=5e-4)
    schedule: ScheduleConfig = ScheduleConfig(name="cosine", warmup_epochs=0.25, warmup_factor=0.1, final_factor=0.1)
    rounds: int = Field(8, ge=1, le=MAX_EPOCHS)
    """The largest number of rounds."""
    teacher: float = Field(0.25, ge=0)
    """The number of rounds over which the teacher averages weights; 0: it has the weights of the last step."""
    same: float = Field(0.98, ge=0, le=1)
    """The agreement of two rounds' clusters (adjusted Rand index) from which rounds count as no longer changing."""
    patience: int = Field(3, ge=1)
    """The number of rounds without a better quality after which the run stops."""
    seed: int = Field(0, ge=0, le=MAX_SEED)

    @property
    def epochs(self) -> int:
        """The number of rounds, as the engine calls it."""
        return 0 if self.quick else self.rounds

    @property
    def checkpoint_every(self) -> int:
        """The number of rounds between checkpoints."""
        return 1
