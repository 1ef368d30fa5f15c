"""AlignedReID++ (Luo et al., 2019), AaP-ReID's baseline: 91.8 rank-1, 79.1 mAP on Market-1501 (AaP-ReID, Table 1)."""

from __future__ import annotations

from passerby.losses.reid import LossConfig
from passerby.recipes.registry import recipe
from passerby.training.config import (
    AugmentConfig,
    EvaluationConfig,
    ModelConfig,
    OptimizerConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainConfig,
)


@recipe("aligned_reid")
def aligned_reid() -> TrainConfig:
    """Return the settings of AlignedReID++ at 256×128.

    Adam 2e-4, ×0.1 every 150 epochs, 300 epochs of identities, P8×K4, label smoothing, both branches at test. Its
    authors' code compares raw stripes at test: ``--set model.options.local_at_test=false``. AaP-ReID's Table 1 trains
    its baseline row like its other rows; the row's note names the differences from this recipe.

    Command: ``passerby train aligned_reid --data market1501:PATH --set model.backbone_weights=R50.pth``.
    Cost: 28,200 steps of 32 images.
    Expected: 91.8 / 79.1 (rank-1 / mAP), as AaP-ReID reports it.
    """
    return TrainConfig(
        recipe="aligned_reid",
        model=ModelConfig(name="aligned_reid"),
        augment=AugmentConfig(flip=0.5),
        sampler=SamplerConfig(p=8, k=4, epoch_of="identities"),
        loss=LossConfig(identity=1.0, triplet=1.0, local=1.0, smoothing=0.1),
        optimizer=OptimizerConfig(name="adam", lr=2e-4, weight_decay=5e-4),
        schedule=ScheduleConfig(name="step", milestones=(150,)),
        evaluation=EvaluationConfig(distance="global_local"),
        epochs=300,
    )
