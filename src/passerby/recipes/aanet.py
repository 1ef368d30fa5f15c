"""AANet (Tay, Roy, Yap; CVPR 2019): 93.89 rank-1, 82.45 mAP on Market-1501 with ResNet-50 (its Table 2)."""

from __future__ import annotations

from typing import Any

from passerby.data.attributes.schema import SCHEMAS
from passerby.losses.multitask import MultitaskLossConfig
from passerby.recipes.registry import recipe
from passerby.recipes.tables import DUKE, MARKET, PAPERS, Row, Table, cited, options
from passerby.training.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainConfig,
)
from passerby.training.unstated import UNSTATED


@recipe("aanet")
def aanet() -> TrainConfig:
    """Return the settings of AANet-50 at 384×128.

    SGD with learning rate 0.1 for new layers and 0.01 for the backbone, ×0.1 at epoch 20 of 40, batch 32 (§3.5).

    † marks settings that the paper does not state and that were chosen here: a batch is 32 people with one image each,
    so that an epoch sees every image (24 of Market-1501's twice, to fill up the last batch); momentum (0.9) and weight
    decay (5e-4; none for the learned loss weights); the learned loss weights have a tenth of the learning rate and are
    at most 5.

    Command: ``passerby train aanet --data market1501:PATH --set data.attributes=market_attribute.mat
    --set model.backbone_weights=R50.pth``; on DukeMTMC-reID ``--set model.options.schema=dukemtmc`` and its attributes;
    AANet-152 is ``--set model.options.backbone=resnet152 --set sampler.p=24``.
    Cost: 16,200 steps of 32 images.
    Expected: 93.89 / 82.45 (rank-1 / mAP).

    † by name: ``sampler.p`` †, ``sampler.k`` †, ``sampler.epoch_of`` †, ``optimizer.momentum`` †,
    ``optimizer.weight_decay`` †, ``optimizer.loss_lr_factor`` †, ``loss.max_weight`` †, ``schedule.milestones`` † (one
    step), ``augment.flip`` † (0.5), ``model.options.last_stride`` † (2), ``model.options.threshold`` † (Otsu's) and
    ``evaluation.normalize`` † (no).
    """
    return TrainConfig(
        recipe="aanet",
        model=ModelConfig(name="aanet"),
        data=DataConfig(height=384, width=128),
        augment=AugmentConfig(flip=0.5),
        sampler=SamplerConfig(p=32, k=1),  # †
        loss=MultitaskLossConfig(),
        optimizer=OptimizerConfig(
            name="sgd", lr=0.1, weight_decay=5e-4, momentum=0.9, backbone_lr_factor=0.1, loss_lr_factor=0.1
        ),  # †, but for name, lr and backbone_lr_factor
        schedule=ScheduleConfig(name="step", milestones=(20,), gamma=0.1),
        epochs=40,
    )


UNSTATED.register("aanet")(
    {
        "sampler.p": 'only "Batch size is set to 32 for ResNet-50, and 24 for ResNet-152" (§3.5)',
        "sampler.k": 'only "Batch size is set to 32 for ResNet-50, and 24 for ResNet-152" (§3.5)',
        "sampler.epoch_of": 'only "we train the network for 40 epoch" (§3.5)',
        "optimizer.momentum": 'only "Stochastic Gradient Descent" (§3.5)',
        "optimizer.weight_decay": "not mentioned",
        "optimizer.loss_lr_factor": 'only "0.1 for the newly added layers" (§3.5)',
        "loss.max_weight": "not mentioned",
        "schedule.milestones": 'only "the staircase schedule at 20 epoch with a 0.1 reduction factor" (§3.5)',
        "augment.flip": 'only "random flip" (§3.5)',
        "model.options.last_stride": "not mentioned",
        "model.options.threshold": 'only "an adaptive thresholding" (§3.3)',
        "evaluation.normalize": 'only "we use the l_2 norm between these descriptors" (§3.5)',
    }
)


_PAPER = "AANet (Tay et al., CVPR 2019)"
_ON_DUKE = {DUKE.data: options(schema="dukemtmc")}
_AANET_152 = {**options(backbone="resnet152"), "sampler.p": 24}

TABLE_1 = Table(
    recipe="aanet",
    paper=_PAPER,
    name="Table 1",
    title="AANet on DukeMTMC-reID",
    metrics=("mAP", "rank-1"),
    columns=(DUKE,),
    rows={
        **cited(
            2,
            lines="""
            FMN [5]                    | 56.9  74.5
            SVDNet [19]                | 56.8  76.7
            DPFL [3]                   | 60.6  79.2
            KPM (Res-50) [17]          | 63.2  80.3
            PCB (Res-50) [20]          | 69.2  83.3
            GP-reID (Res-101) [1]      | 72.80 85.20
            SPReID (Res-152) [11]      | 73.34 85.95
            GP-reID (Res-101) [1] + RR | 85.60 89.40
            SPReID (Res-152) [11] + RR | 84.99 88.96
            """,
        ),
        "aanet50": Row(title="AANet-50", on=_ON_DUKE, printed=((72.56, 86.42),)),
        "aanet152": Row(title="AANet-152", changes=_AANET_152, on=_ON_DUKE, printed=((74.29, 87.65),)),
        "aanet152_reranked": Row(title="AANet-152 + RR", reranks="aanet152", printed=((86.87, 90.36),)),
    },
)

TABLE_2 = Table(
    recipe="aanet",
    paper=_PAPER,
    name="Table 2",
    title="AANet on Market-1501",
    metrics=("mAP", "rank-1", "rank-10"),
    columns=(MARKET,),
    rows={
        **cited(
            3,
            lines="""
            PDC [18]                   | 63.4  84.4  94.9
            PL-Net [24]                | 69.3  88.2  -
            DPFL [3]                   | 73.1  88.9  -
            GLAD [22]                  | 73.9  89.9  -
            KPM (Res-50) [17]          | 75.3  90.1  97.9
            PCB (Res-50) [20]          | 81.6  93.8  98.5
            GP-reID (Res-101) [1]      | 81.20 92.20 -
            SPReID (Res-152) [11]      | 83.36 93.68 98.40
            GP-reID (Res-101) [1] + RR | 90.00 93.00 -
            SPReID (Res-152) [11] + RR | 90.96 94.63 97.65
            """,
        ),
        "aanet50": Row(title="AANet-50", printed=((82.45, 93.89, 98.56),)),
        "aanet152": Row(title="AANet-152", changes=_AANET_152, printed=((83.41, 93.93, 98.53),)),
        "aanet152_reranked": Row(title="AANet-152 + RR", reranks="aanet152", printed=((92.38, 95.10, 97.94),)),
    },
)


def _tasks(*tasks: str, uncertainty: bool) -> dict[str, Any]:
    """Return the changes for a model with only the heads of these tasks, and its loss."""
    heads = options(parts="parts" in tasks, attributes="attributes" in tasks, attention_map="attention" in tasks)
    return {**heads, "loss.tasks": tasks, "loss.uncertainty": uncertainty}


TABLE_3 = Table(
    recipe="aanet",
    paper=_PAPER,
    name="Table 3",
    title="Combinations of task losses, AANet-50 on DukeMTMC-reID",
    metrics=("mAP", "rank-1"),
    columns=(DUKE,),
    rows={
        "g": Row(title="L_g", changes=_tasks("global", uncertainty=False), on=_ON_DUKE, printed=((62.92, 80.18),)),
        "g_p": Row(
            title="L_g + L_p",
            changes=_tasks("global", "parts", uncertainty=False),
            on=_ON_DUKE,
            printed=((66.35, 82.93),),
        ),
        "g_p_a": Row(
            title="L_g + L_p + L_a",
            changes=_tasks("global", "parts", "attributes", uncertainty=False),
            on=_ON_DUKE,
            printed=((67.28, 83.29),),
        ),
        "g_p_a_learned": Row(
            title="L_g + L_p + L_a, learned weights",
            changes=_tasks("global", "parts", "attributes", uncertainty=True),
            on=_ON_DUKE,
            printed=((70.47, 85.44),),
        ),
        "g_p_a_aa_learned": Row(
            title="L_g + L_p + L_a + L_aa, learned weights", on=_ON_DUKE, printed=((72.56, 86.42),)
        ),
    },
)

_ACCURACY = {
    "gender": 92.31, "age": 88.21, "hair length": 86.58, "sleeve length": 94.45, "length of lower": 94.24,
    "type of lower": 94.83, "backpack": 87.77, "handbag": 89.61, "bag": 79.72, "hat": 98.01, "upper color": 77.08,
    "lower color": 70.81, "mean": 87.80,
}  # fmt: skip
"""The accuracies in percent by group of the schema; the paper's L.slv, L.low, S.clth, C.up and C.low are so read."""

TABLE_4 = Table(
    recipe="aanet",
    paper=_PAPER,
    name="Table 4",
    title="Attribute accuracy on Market-1501",
    metrics=tuple(_ACCURACY),
    attributes=SCHEMAS[MARKET.data],
    columns=(MARKET,),
    rows={
        **cited(13, lines="APR [15] | 86.45 87.08 83.65 93.66 93.32 91.46 82.79 88.98 75.07 97.13 73.40 69.91 85.33"),
        "aanet152": Row(
            title="AANet-152",
            changes=_AANET_152,
            note="the paper does not say which images it counts; here the gallery's images of people, as in Lin et al.",
            printed=(tuple(_ACCURACY.values()),),
        ),
    },
)

PAPERS.register("aanet")({"table1": TABLE_1, "table2": TABLE_2, "table3": TABLE_3, "table4": TABLE_4})
