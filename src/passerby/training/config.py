"""A training run as one frozen value. It is written beside every checkpoint and reloads identically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from passerby.config import Frozen, read_as, validate
from passerby.data.keypoints.regions import OVERLAP
from passerby.losses.registry import AnyLossConfig
from passerby.losses.reid import LossConfig


class DataConfig(Frozen):
    """What is trained on, what it is tested on, and how pictures enter."""

    train: str = ""
    """``NAME:PATH`` or a path."""
    test: str | None = None
    """Where query and gallery come from; ``None``: the training dataset's own."""
    height: int = Field(256, ge=16)
    width: int = Field(128, ge=16)
    cache: bool = True
    """Keep the resized training pictures in memory (images × 3 × height × width bytes)."""
    threads: int = Field(2, ge=1)
    """Decoding threads."""
    attributes: str | None = None
    """Where people are described, for losses that need it; ``None``: beside the training pictures."""
    test_attributes: str | None = None
    """Where people to test on are described; ``None``: of the training data's own test people where ``attributes``
    describes them, and of other test data nowhere."""

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class ModelConfig(Frozen):
    """Which model; ``options`` are its own keywords."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    backbone_weights: str | None = None
    """Checkpoint for the backbone (ImageNet, say); ``None``: train from scratch."""

    @field_validator("options")
    @classmethod
    def _people_are_counted(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "num_classes" in options:
            raise ValueError("num_classes is the number of training people: it is counted, not set")
        return options


class AugmentConfig(Frozen):
    """Amounts of augmentation; 0 leaves a part out."""

    flip: float = Field(0.5, ge=0, le=1)
    pad: int = Field(0, ge=0)
    degrees: float = Field(0.0, ge=0)
    translate: float = Field(0.0, ge=0, le=1)
    jitter: float = Field(0.0, ge=0, lt=1)
    """Brightness, contrast and saturation are multiplied by 1 ± this."""
    erase: float = Field(0.0, ge=0, le=1)


class PartsConfig(Frozen):
    """How pictures are cut, for models that see parts of the body (:func:`~passerby.inference.keypoint_source.part_maker`)."""

    by: Literal["pose", "strips"] = "pose"
    overlap: float = Field(OVERLAP, ge=0, le=0.5)
    """β: how far neighboring parts reach into each other, as a share of the body's height."""
    align: bool = True
    """Whether the whole body is cut by pose too; by strips it never is."""
    keypoints: str = "auto"
    """Who knows the joints: the set itself (``own``), this package's pose ``network``, the one or else the other
    (``auto``), annotations in a file or folder, or the run of a pose network."""


class EvaluationConfig(Frozen):
    """How pictures are embedded and compared, in the run's own evaluations and afterwards."""

    flip_tta: bool = False
    """Average each picture with its mirror image."""
    normalize: bool | None = None
    """Compare embeddings of length 1; ``None``: as the model's paper does."""
    draws: int | None = Field(None, ge=0)
    """Of galleries with one picture a person; 0: the whole gallery; ``None``: as the data set's own protocol has it."""
    seed: int = Field(0, ge=0)
    """Of these draws."""


class SamplerConfig(Frozen):
    """P people × K images a batch."""

    p: int = Field(8, ge=2)
    k: int = Field(4, ge=1)
    epoch_of: Literal["images", "identities"] = "images"


class OptimizerConfig(Frozen):
    """Adam or SGD with momentum."""

    name: Literal["adam", "sgd"] = "adam"
    lr: float = Field(3.5e-4, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    backbone_lr_factor: float = Field(1.0, ge=0)
    """Learning rate of the backbone ÷ that of the new layers."""


class ScheduleConfig(Frozen):
    """Learning rate over epochs (fractions of an epoch count: it moves every step)."""

    name: Literal["constant", "step", "cosine"] = "step"
    milestones: tuple[float, ...] = ()
    """Epochs at which a ``step`` schedule multiplies by ``gamma``."""
    gamma: float = Field(0.1, gt=0)
    warmup_epochs: float = Field(0.0, ge=0)
    warmup_factor: float = Field(0.01, gt=0, le=1)
    final_factor: float = Field(0.0, ge=0, le=1)
    """Where a ``cosine`` schedule ends, as a share of the full rate."""


class TrainConfig(Frozen):
    """Everything that decides a run's numbers."""

    recipe: str
    model: ModelConfig
    data: DataConfig = DataConfig()
    parts: PartsConfig = PartsConfig()
    augment: AugmentConfig = AugmentConfig()
    sampler: SamplerConfig = SamplerConfig()
    loss: AnyLossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    epochs: int = Field(60, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["no", "bf16", "fp16"] = "no"
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients add up before a step."""
    evaluate_every: int = Field(0, ge=0)
    """Epochs between evaluations during training; 0: only at the end."""
    checkpoint_every: int = Field(1, ge=1)
    """Epochs between checkpoints to resume from."""


def validated(tree: dict[str, Any]) -> TrainConfig:
    """A config from plain values; the first thing wrong becomes one :class:`ConfigError`."""
    return validate(TrainConfig, tree)


def read_config(path: Path) -> TrainConfig:
    """The config that a run wrote."""
    return read_as(TrainConfig, path)
