"""The settings of a training run as one frozen value, which is written into the run folder and reloads identically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from passerby.config import Frozen, read_as, validate
from passerby.data.images.erase import EraseAspect, EraseFill
from passerby.data.images.normalize import Normalization
from passerby.data.keypoints.regions import OVERLAP, Head
from passerby.data.sampler import Coverage, EpochOf, Order
from passerby.limits import MAX_SEED, MAX_SIDE, MIN_SIDE
from passerby.losses.registry import AnyLossConfig
from passerby.losses.reid import LossConfig
from passerby.metrics.single_shot import MAX_DRAWS
from passerby.types import Distance

MAX_EPOCHS = 1_000_000
MAX_PIXELS = 2**32
"""The number of pixels of a batch, which take 12 bytes each."""


class DataConfig(Frozen):
    """The data to train and to test on, and how images are read."""

    train: str = ""
    """The training data: ``NAME:PATH`` or a path."""
    test: str | None = None
    """The dataset of query and gallery images; ``None``: the training dataset."""
    labels: Literal["people", "folders"] = "people"
    """The classes to learn: the ``people`` of a dataset, or ``folders``, each of which holds any images of a class
    (:mod:`passerby.data.classes`); ``test`` is then a folder of the same classes."""
    height: int = Field(256, ge=MIN_SIDE, le=MAX_SIDE)
    width: int = Field(128, ge=MIN_SIDE, le=MAX_SIDE)
    normalization: Normalization = "imagenet"
    """The normalization of images: ``imagenet`` means and deviations, ``imagenet_mean``: the means alone,
    ``image_mean``: each image's own channel means, or ``half``: 0.5 and 0.5."""
    cache: bool = True
    """A switch to keep the resized training images in memory (images × 3 × height × width bytes)."""
    threads: int = Field(2, ge=1, le=1024)
    """The number of threads that decode images."""
    attributes: str | None = None
    """The attribute table of the training people, for losses that need one; ``None``: the training data's own."""
    test_attributes: str | None = None
    """The attribute table of the test people; ``None``: ``attributes`` where the test data is the training data's own,
    and none for other test data."""

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class ModelConfig(Frozen):
    """The model and its keyword arguments (``options``)."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    backbone_weights: str | None = None
    """The checkpoint for the backbone (trained on ImageNet, for example); ``None``: train from scratch."""
    reinitialized: tuple[str, ...] = ()
    """The prefixes of the backbone's tensors that keep their random values where a checkpoint is loaded."""
    weights: str | None = None
    """The checkpoint or run folder for the whole model, all but its identity classifiers; ``None``: none."""
    allow_missing: tuple[str, ...] = ()
    """The prefixes of tensors that a checkpoint may lack; they keep their initial values."""
    allow_unexpected: tuple[str, ...] = ()
    """The prefixes of tensors that a checkpoint may have beside those of the model."""

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "num_classes" in options:
            raise ValueError(
                "num_classes is the number of training people: it is counted from the data, not set. Fix: leave it out"
            )
        return options

    @model_validator(mode="after")
    def _check_one_start(self) -> ModelConfig:
        if self.weights and self.backbone_weights:
            raise ValueError(
                "weights start the whole model, so backbone_weights would be overwritten. Fix: set one of them"
            )
        return self


class AugmentConfig(Frozen):
    """The amounts of augmentation; 0 leaves a part out."""

    flip: float = Field(0.5, ge=0, le=1)
    enlarge: float = Field(0.0, ge=0, le=1)
    """The probability of an image that is enlarged to 9/8 and cropped at a random place: "random 2-D translation"."""
    pad: int = Field(0, ge=0, le=MAX_SIDE)
    degrees: float = Field(0.0, ge=0)
    translate: float = Field(0.0, ge=0, le=1)
    jitter: float = Field(0.0, ge=0, lt=1)
    """The largest change of brightness, contrast and saturation: each is multiplied by 1 ± this."""
    tint: float = Field(0.0, ge=0, lt=1)
    """The largest relative change of each channel's gain and gamma: another camera's color transfer."""
    gray: float = Field(0.0, ge=0, le=1)
    blur: float = Field(0.0, ge=0, le=1)
    shrink: float = Field(0.0, ge=0, le=1)
    """The probability of an image of fewer pixels, enlarged again."""
    erase: float = Field(0.0, ge=0, le=1)
    """The probability of an erased rectangle."""
    erase_fill: EraseFill = "random"
    """The filling of an erased rectangle: ``random`` colors, or the ``mean`` color."""
    erase_aspect: EraseAspect = "uniform"
    """The distribution of its aspect ratio: ``uniform``, or uniform by its ``log``."""


class PartsConfig(Frozen):
    """The cutting of images into body parts (:func:`~passerby.inference.keypoint_source.part_maker`)."""

    by: Literal["pose", "strips"] = "pose"
    overlap: float = Field(OVERLAP, ge=0, le=0.5)
    """The overlap β of neighboring parts, as a share of the body's height."""
    head: Head = "neck"
    """The extent of the head region: to the ``neck``; or the ``face`` alone, which cuts most crowns (as formerly)."""
    align: bool = True
    """A switch to cut the whole body by pose too; by strips it never is."""
    keypoints: str = "auto"
    """The keypoint source: the dataset's ``own`` file, this package's pose ``network``, ``auto`` (the former, else the
    latter), annotations in a file or folder, or the run folder of a pose network."""


class EvaluationConfig(Frozen):
    """The options of embedding and evaluation, in the run's own evaluations and afterwards."""

    flip_tta: bool = False
    """A switch for flip test-time augmentation: embeddings of an image and its mirror image are averaged."""
    normalize: bool | None = None
    """A switch to L2-normalize embeddings before they are compared; ``None``: as in the model's paper."""
    distance: Distance = "global"
    """The distance that evaluations rank by: ``global`` compares embeddings, ``local`` stripes (DMLI), ``global_local``
    adds both. Searches always compare embeddings."""
    draws: int | None = Field(None, ge=0, le=MAX_DRAWS)
    """The number of random galleries with one image per person; 0: the whole gallery; ``None``: as the dataset's
    protocol has it."""
    seed: int = Field(0, ge=0, le=MAX_SEED)
    """The random seed of ``draws``."""


class SamplerConfig(Frozen):
    """The batches: P people × K images each, or P·K images in random order."""

    p: int = Field(8, ge=2)
    k: int = Field(4, ge=1)
    order: Order = "people"
    """The order of images: ``people``, P people × K images, or ``random``, of any people."""
    epoch_of: EpochOf = "images"
    coverage: Coverage = "groups"
    """The images that an epoch sees: whole ``groups`` of K of each person, or ``all``."""


class OptimizerConfig(Frozen):
    """The settings of Adam or of SGD with momentum."""

    name: Literal["adam", "sgd"] = "adam"
    lr: float = Field(3.5e-4, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    backbone_lr_factor: float = Field(1.0, ge=0)
    """The learning rate of the backbone ÷ that of the new layers."""
    loss_lr_factor: float = Field(1.0, ge=0)
    """The learning rate of a loss's own parameters, such as learned weights of tasks, ÷ that of the new layers."""


class ScheduleConfig(Frozen):
    """The learning rate over epochs; it is updated every step, so fractions of an epoch count."""

    name: Literal["constant", "step", "cosine"] = "step"
    milestones: tuple[float, ...] = ()
    """The epochs at which a ``step`` schedule multiplies the rate by ``gamma``."""
    gamma: float = Field(0.1, gt=0)
    warmup_epochs: float = Field(0.0, ge=0)
    warmup_factor: float = Field(0.01, gt=0, le=1)
    final_factor: float = Field(0.0, ge=0, le=1)
    """The end of a ``cosine`` schedule, as a share of the full rate."""


class TrainConfig(Frozen):
    """All settings that decide a run's numbers."""

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
    average: float = Field(0.0, ge=0, lt=1)
    """The decay of the weights' moving average, which is evaluated and kept instead of the last weights; 0: none."""
    epochs: int = Field(60, ge=1, le=MAX_EPOCHS)
    seed: int = Field(0, ge=0, le=MAX_SEED)
    precision: Literal["no", "bf16", "fp16"] = "no"
    accumulate: int = Field(1, ge=1, le=MAX_EPOCHS)
    """The number of batches whose gradients are added before a step."""
    evaluate_every: int = Field(0, ge=0)
    """The number of epochs between evaluations during training; 0: only at the end."""
    checkpoint_every: int = Field(1, ge=1)
    """The number of epochs between checkpoints to resume from."""

    @model_validator(mode="after")
    def _check_memory(self) -> TrainConfig:
        pixels = self.sampler.p * self.sampler.k * self.data.height * self.data.width
        if pixels > MAX_PIXELS:
            raise ValueError(
                f"a batch of sampler.p × sampler.k = {self.sampler.p:,} × {self.sampler.k:,} images of data.height × "
                f"data.width = {self.data.height} × {self.data.width} has {pixels:,} pixels, expected at most "
                f"{MAX_PIXELS:,}. Fix: lower one of these settings"
            )
        return self


def validated(tree: dict[str, Any]) -> TrainConfig:
    """Return a config from plain values; the first invalid one raises :class:`ConfigError`."""
    return validate(TrainConfig, tree)


def read_config(path: Path) -> TrainConfig:
    """Read the config that a run wrote."""
    return read_as(TrainConfig, path)
