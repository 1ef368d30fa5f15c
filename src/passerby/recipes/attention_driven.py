"""Attention Driven ReID (Yang et al., 2019): 94.99 rank-1, 86.47 mAP on Market-1501, started from ImageNet."""

from __future__ import annotations

from passerby.recipes.registry import recipe
from passerby.training.config import (
    AugmentConfig,
    BranchLossConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainConfig,
)


@recipe("attention_driven")
def attention_driven() -> TrainConfig:
    """Five branches at 384×192 and 96×192: SGD, rate 0.01, ÷10 each 40 of 100 epochs, batch 32, no augmentation (§4.2).

    † marks what the paper does not state and was chosen here: that a batch is 32 people with one image each, so that an
    epoch sees every image once; momentum (0.9) and weight decay (5e-4).

    Command: ``passerby train attention_driven --data market1501:PATH --set parts.poses=BODY_POINTS``; a synthetic set
    knows its own joints. The paper first trains its network nine epochs on ImageNet, which is the user's to run; give
    the weights as ``model.trunk_weights``.
    Cost: 40,400 steps of 32 images and their parts.
    Expected: 94.65 / 85.22 (rank-1 / mAP) with these values of λ and β; 94.99 / 86.47 with ``loss.intra=0.1`` and
    ``parts.overlap=0.0625``.
    """
    return TrainConfig(
        recipe="attention_driven",
        model=ModelConfig(name="attention_driven"),
        data=DataConfig(height=384, width=192),
        augment=AugmentConfig(flip=0.0),
        sampler=SamplerConfig(p=32, k=1),  # †
        loss=BranchLossConfig(intra=0.5),
        optimizer=OptimizerConfig(name="sgd", lr=0.01, weight_decay=5e-4, momentum=0.9),  # †
        schedule=ScheduleConfig(name="step", milestones=(40, 80), gamma=0.1),
        epochs=100,
    )
