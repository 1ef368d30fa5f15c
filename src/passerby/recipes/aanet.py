"""AANet (Tay, Roy, Yap; CVPR 2019): 93.89 rank-1, 82.45 mAP on Market-1501 with ResNet-50 (its Table 2)."""

from __future__ import annotations

from passerby.recipes.registry import recipe
from passerby.training.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    MultitaskLossConfig,
    OptimizerConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainConfig,
)


@recipe("aanet")
def aanet() -> TrainConfig:
    """AANet-50 at 384×128: SGD, 0.1 for new layers and 0.01 for the trunk, ×0.1 at epoch 20 of 40, batch 32 (§3.5).

    † marks what the paper does not state and was chosen here: that a batch is 32 people with one image each, so that an
    epoch sees every image once; momentum (0.9) and weight decay (5e-4), which the learned loss weights are spared.

    Command: ``passerby train aanet --data market1501:PATH --set model.trunk_weights=R50.pth``; on DukeMTMC-reID also
    ``--set model.options.schema=dukemtmc``; AANet-152 is ``--set model.options.trunk=resnet152 --set sampler.p=24``.
    Cost: 16,200 steps of 32 images.
    Expected: 93.89 / 82.45 (rank-1 / mAP).
    """
    return TrainConfig(
        recipe="aanet",
        model=ModelConfig(name="aanet"),
        data=DataConfig(height=384, width=128),
        augment=AugmentConfig(flip=0.5),
        sampler=SamplerConfig(p=32, k=1),  # †
        loss=MultitaskLossConfig(),
        optimizer=OptimizerConfig(name="sgd", lr=0.1, weight_decay=5e-4, momentum=0.9, trunk_lr_factor=0.1),  # †
        schedule=ScheduleConfig(name="step", milestones=(20,), gamma=0.1),
        epochs=40,
    )
