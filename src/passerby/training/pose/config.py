"""The settings of a pose network's training as one frozen value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config import Frozen
from passerby.limits import MAX_SEED, MAX_SIDE, MIN_SIDE
from passerby.training.config import MAX_EPOCHS, ScheduleConfig


class PoseDataConfig(Frozen):
    """The data to train and to test on."""

    train: str = ""
    """The training data, ``NAME:PATH`` or a path: synthetic pedestrians, or images with a ``keypoints.json``."""
    test: str | None = None
    """The dataset whose query and gallery images are measured; ``None``: the training dataset."""
    all_splits: bool = False
    """A switch to train on query and gallery images too, as no identity is learned; the test data must differ then."""
    height: int = Field(160, ge=MIN_SIDE, le=MAX_SIDE)
    """The height of images in memory (images × 3 × height × width bytes); windows are cut from them."""
    width: int = Field(80, ge=MIN_SIDE, le=MAX_SIDE)
    threads: int = Field(2, ge=1, le=1024)

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class PoseNetworkConfig(Frozen):
    """The network: the image size it takes, its width, and the resolution of its coordinates."""

    height: int = Field(128, ge=MIN_SIDE, le=MAX_SIDE)
    width: int = Field(64, ge=MIN_SIDE, le=MAX_SIDE)
    channels: int = Field(20, ge=1, le=1024)
    bins: int = Field(2, ge=1, le=64)
    """The number of bins per pixel."""

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class PoseAugmentConfig(Frozen):
    """The amounts of augmentation (:class:`~passerby.data.keypoints.augment.PoseAugmentation`); 0 leaves a part out."""

    flip: float = Field(0.5, ge=0, le=1)
    scale: float = Field(0.2, ge=0, lt=1)
    closer: float = Field(0.08, ge=0, lt=1)
    aspect: float = Field(0.2, ge=0, lt=1)
    shift: float = Field(0.08, ge=0, le=1)
    degrees: float = Field(10.0, ge=0, le=180)
    jitter: float = Field(0.4, ge=0, lt=1)
    gray: float = Field(0.2, ge=0, le=1)
    tint: float = Field(0.2, ge=0, lt=1)
    blur: float = Field(0.3, ge=0, le=1)
    low: float = Field(0.3, ge=0, le=1)
    noise: float = Field(0.06, ge=0, le=1)
    hide: float = Field(0.4, ge=0, le=1)


class PoseLossConfig(Frozen):
    """The weights of the loss's parts, and of keypoints in it."""

    sigma: float = Field(1.5, gt=0)
    """The width of the soft labels, in pixels of the network's images."""
    hidden: float = Field(0.5, ge=0, le=1)
    """The weight of a keypoint that is in the image but not visible; a visible one has 1."""
    inside: float = Field(0.5, ge=0)
    """The weight of the part that classifies whether a keypoint is in the image."""


class PoseOptimizerConfig(Frozen):
    """The settings of AdamW."""

    lr: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)


class PoseConfig(Frozen):
    """All settings that decide the numbers of a pose network's run."""

    recipe: str = "pose"
    data: PoseDataConfig = PoseDataConfig()
    network: PoseNetworkConfig = PoseNetworkConfig()
    augment: PoseAugmentConfig = PoseAugmentConfig()
    loss: PoseLossConfig = PoseLossConfig()
    optimizer: PoseOptimizerConfig = PoseOptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig(name="cosine", warmup_epochs=0.5)
    batch: int = Field(64, ge=2, le=100_000)
    epochs: int = Field(22, ge=1, le=MAX_EPOCHS)
    seed: int = Field(0, ge=0, le=MAX_SEED)
    precision: Literal["no", "bf16"] = "bf16"
    """The precision of the forward pass; bf16 takes half the time on processors that support it."""
    checkpoint_every: int = Field(1, ge=1)
    """The number of epochs between checkpoints to resume from."""
