"""Bag of Tricks (Luo et al., CVPR Workshops 2019): 94.1 rank-1, 85.7 mAP on Market-1501 (ImageNet ResNet-50).

Also ``street-s`` and ``street``, the same network as the package's own weights were trained: on synthetic pedestrians
alone, for cameras that training did not see.
"""

from __future__ import annotations

from passerby.config import with_overrides
from passerby.losses.reid import LossConfig
from passerby.recipes.registry import recipe
from passerby.training.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainConfig,
)


@recipe("strong_baseline")
def strong_baseline() -> TrainConfig:
    """Return the settings of the strong baseline at 256×128.

    Adam 3.5e-4, 10 epochs of warm-up, ×0.1 at epochs 40 and 70, 120 epochs, P16×K4; erased
    rectangles get the mean color.

    Command: ``passerby train strong_baseline --data market1501:PATH --set model.backbone_weights=R50.pth``.
    Cost: 22,320 steps of 64 images; an hour or two on a current GPU.
    Expected: the paper's 94.1 / 85.7 (rank-1 / mAP) without center loss.
    """
    return TrainConfig(
        recipe="strong_baseline",
        model=ModelConfig(name="strong_baseline"),
        augment=AugmentConfig(flip=0.5, pad=10, erase=0.5, erase_fill="mean"),
        sampler=SamplerConfig(p=16, k=4),
        loss=LossConfig(identity=1.0, triplet=1.0, smoothing=0.1),
        optimizer=OptimizerConfig(name="adam", lr=3.5e-4, weight_decay=5e-4),
        schedule=ScheduleConfig(name="step", milestones=(40, 70), warmup_epochs=10, warmup_factor=0.01),
        epochs=120,
    )


@recipe("street-s")
def street_small() -> TrainConfig:
    """Return the settings that ``street-s`` was trained with.

    The strong baseline with a MobileNetV2-IBN-a and attributes, 128×64. What is meant for cameras that training did not
    see: IBN-a, MixStyle, batches of people who look alike, color transfer, gray, blur and few pixels, and averaged
    weights (docs/street.md tells what each gave).

    The data: ``passerby data synthesize DATA --people 3000 --cameras 24 --images 1 --seed 11 --difficulty color=2
    --difficulty twins=0.4 --train-only``, 36,000 images of 1,500 people by 24 cameras.
    Command: ``passerby train street-s --data DATA --set model.backbone_weights=mobilenet_v2.pth``,
    with ImageNet weights.
    Cost: one to two hours on one CPU core.
    """
    return TrainConfig(
        recipe="street-s",
        model=ModelConfig(
            name="strong_baseline",
            options={"backbone": "mobilenet_v2_ibn_a", "mix_style": 0.3, "schema": "market1501"},
        ),
        data=DataConfig(height=128, width=64),
        augment=AugmentConfig(
            flip=0.5, pad=5, jitter=0.3, tint=0.15, gray=0.05, blur=0.2, shrink=0.2, erase=0.3, erase_fill="mean"
        ),
        sampler=SamplerConfig(p=16, k=4, order="graph"),
        loss=LossConfig(identity=1.0, triplet=1.0, attributes=0.5, smoothing=0.1),
        optimizer=OptimizerConfig(name="adam", lr=1e-3, weight_decay=5e-4),
        schedule=ScheduleConfig(name="cosine", warmup_epochs=0.5),
        average=0.999,
        epochs=5,
    )


@recipe("street")
def street() -> TrainConfig:
    """Return the settings that ``street`` was trained with: on from ``street-s``, with other people at 192×96.

    The data: ``passerby data synthesize DATA --people 4000 --cameras 24 --images 1 --seed 12 --difficulty color=2
    --difficulty twins=0.4 --train-only``, 48,000 images of 2,000 people by 24 cameras.
    Command: ``passerby train street --data DATA``.
    Cost: 70 minutes on one CPU core.
    """
    first = street_small()
    return with_overrides(
        first,
        {
            "recipe": "street",
            "model.weights": "street-s",
            "data.height": 192,
            "data.width": 96,
            "augment.pad": 7,
            "optimizer.lr": 6e-4,
            "schedule.warmup_epochs": 0.4,
            "evaluation.flip_tta": True,
            "epochs": 4,
            "seed": 2,
        },
    )
