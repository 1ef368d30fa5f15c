"""The training of a pose network as one frozen value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config import Frozen
from passerby.training.config import ScheduleConfig


class PoseDataConfig(Frozen):
    """What is trained on and tested on."""

    train: str = ""
    """``NAME:PATH`` or a path: pedestrians, drawn or written, or pictures with a ``keypoints.json``."""
    test: str | None = None
    """Whose query and gallery pictures are measured; ``None``: the training dataset's own."""
    all_splits: bool = False
    """Train on query and gallery pictures too: nobody is told apart here. The test data must be of others then."""
    height: int = Field(160, ge=16)
    """Pictures are kept in memory this large (images × 3 × height × width bytes); windows are cut from them."""
    width: int = Field(80, ge=16)
    threads: int = Field(2, ge=1)

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class PoseNetworkConfig(Frozen):
    """The network: what it reads, how wide it is, how fine its places are."""

    height: int = Field(128, ge=16)
    width: int = Field(64, ge=16)
    channels: int = Field(20, ge=1)
    bins: int = Field(2, ge=1)
    """Of a pixel."""

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class PoseAugmentConfig(Frozen):
    """Amounts of augmentation (see :class:`passerby.data.keypoints.augment.PoseAugmentation`); 0 leaves a part out."""

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
    """Weights of the loss's parts, and of joints in it."""

    sigma: float = Field(1.5, gt=0)
    """Width of the soft labels, in pixels of the network's pictures."""
    hidden: float = Field(0.5, ge=0, le=1)
    """Weight of a joint that is in the picture but not seen; a seen one has 1."""
    inside: float = Field(0.5, ge=0)
    """Weight of 'is the joint in the picture'."""


class PoseOptimizerConfig(Frozen):
    """AdamW."""

    lr: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)


class PoseConfig(Frozen):
    """Everything that decides the numbers of a pose network's run."""

    recipe: str = "pose"
    data: PoseDataConfig = PoseDataConfig()
    network: PoseNetworkConfig = PoseNetworkConfig()
    augment: PoseAugmentConfig = PoseAugmentConfig()
    loss: PoseLossConfig = PoseLossConfig()
    optimizer: PoseOptimizerConfig = PoseOptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig(name="cosine", warmup_epochs=0.5)
    batch: int = Field(64, ge=2)
    epochs: int = Field(22, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["no", "bf16"] = "bf16"
    """bf16 takes half the time where the processor knows it."""
    checkpoint_every: int = Field(1, ge=1)
    """Epochs between checkpoints to resume from."""
