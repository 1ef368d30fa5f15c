"""Attention Driven ReID (Yang et al., 2019): 94.99 rank-1, 86.47 mAP on Market-1501, started from ImageNet."""

from __future__ import annotations

from typing import Any

from passerby.config import with_overrides
from passerby.losses.branches import BranchLossConfig
from passerby.recipes.registry import recipe
from passerby.recipes.tables import (
    CUHK03_DETECTED,
    CUHK03_LABELED,
    DUKE,
    MARKET,
    PAPERS,
    Column,
    Numbers,
    Row,
    Table,
    cited,
    options,
)
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


@recipe("attention_driven")
def attention_driven() -> TrainConfig:
    """Return the settings of the network of five branches at 384×192 and 96×192.

    SGD 0.01, ÷10 every 40 of 100 epochs, batch 32, no augmentation (§4.1).

    † marks settings that the paper does not state and that were chosen here: a batch is 32 people with one image each,
    so that an epoch sees every image (24 of Market-1501's twice, to fill up the last batch); momentum (0.9; Keras' SGD,
    which the paper uses, has 0 by default) and weight decay (5e-4).

    Command: ``passerby train attention_driven --data market1501:PATH``. Synthetic data has its own keypoints; for other
    data the pose network of this package predicts them, or ``--set parts.keypoints=BODY_POINTS`` names annotations. The
    paper first trains its network for nine epochs on ImageNet: that is :func:`attention_driven_imagenet`, whose run is
    given as ``model.backbone_weights``.
    Cost: 40,500 steps of 32 images and their parts.
    Expected: 94.65 / 85.22 (rank-1 / mAP) with these values of λ and β; 94.99 / 86.47 with ``loss.intra=0.1`` and
    ``parts.overlap=0.0625``.

    † by name: ``sampler.p`` †, ``sampler.k`` †, ``sampler.epoch_of`` †, ``optimizer.momentum`` †,
    ``optimizer.weight_decay`` †, ``evaluation.normalize`` † and ``model.options.same_weight`` † (how embeddings are
    compared), ``evaluation.distance`` † (Euclidean), ``model.options.normalized_attention`` † and
    ``model.options.own_statistics`` †.
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


@recipe("attention_driven_imagenet")
def attention_driven_imagenet() -> TrainConfig:
    """Return the settings of the ImageNet stage of ``attention_driven``: classes of any images, a folder each.

    "The model is first pre-trained on the ImageNet (ILSVRC2012) [63] for 9 epochs", SGD 0.01, ÷10 every 3 epochs, batch
    32, no augmentation, images "in a random order" (§4.1). They stream from disk.

    † marks settings that the paper does not state and that were chosen here: momentum and weight decay, as for people;
    and the parts of images that show no person, four strips. All else that a network of this recipe must share with
    those that start from it, such as ``data.normalization``, is as in ``attention_driven``: change it in both.

    Command: ``passerby train attention_driven_imagenet --data FOLDER``, the folder of ILSVRC2012's training images, and
    ``--test-data FOLDER``, that of its validation images in folders of the same names, whose top-1 is then measured.
    Its run is ``model.backbone_weights`` of every row of the tables: what a row lacks is left out.
    Cost: on ILSVRC2012 nine epochs of 40,037 steps of 32 images and their parts.
    Expected: the paper prints no accuracy on ImageNet.

    † by name: ``optimizer.momentum`` †, ``optimizer.weight_decay`` †, ``parts.by`` †, ``loss.intra`` †,
    ``model.options.normalized_attention`` † and ``model.options.own_statistics`` †.
    """
    people = attention_driven()
    return with_overrides(
        people,
        {
            "recipe": "attention_driven_imagenet",
            "data.labels": "folders",
            "data.cache": False,
            "parts.by": "strips",  # †
            "sampler.order": "random",
            "schedule.milestones": (3, 6),
            "epochs": 9,
        },
    )


_MOMENTUM = 'only "Stochastic Gradient Descent (SGD)" on Keras (§4.1), whose default is 0'
_OF_THE_NETWORK = {
    "model.options.normalized_attention": "only that S and C are multiplied (§3.3), which as they are saturates masks",
    "model.options.own_statistics": 'only "shared lower convolutional layers" (Fig 3)',
}
UNSTATED.register("attention_driven_imagenet")(
    {
        "optimizer.momentum": _MOMENTUM,
        "optimizer.weight_decay": "not mentioned",
        "parts.by": "not mentioned: images of ImageNet have no keypoints of people",
        "loss.intra": "only its value in the network for people (§3.5)",
        **_OF_THE_NETWORK,
    }
)
UNSTATED.register("attention_driven")(
    {
        "sampler.p": 'only "The batch size is set at 32", "in a random order" (§4.1)',
        "sampler.k": 'only "The batch size is set at 32", "in a random order" (§4.1)',
        "sampler.epoch_of": 'only "100 epochs" (§4.1)',
        "optimizer.momentum": _MOMENTUM,
        "optimizer.weight_decay": "not mentioned",
        "evaluation.normalize": 'only "ranked according to their distances to the query" (§4.1)',
        "evaluation.distance": 'only "ranked according to their distances to the query" (§4.1)',
        "model.options.same_weight": 'only "assigning the same weight" to E_g and E_l (§3.4)',
        **_OF_THE_NETWORK,
    }
)


_ALL = (MARKET, DUKE, CUHK03_LABELED, CUHK03_DETECTED)
_UNFUSED = {**options(fusion="concat"), "loss.intra": 1.0, "loss.inter": 0.0}
"""The changes for branches that are trained independently and concatenated at test time."""
_BASELINE = {**_UNFUSED, **options(intra=False), "parts.by": "strips"}
_ALIGNED = {**_UNFUSED, **options(intra=False)}
_INTER = options(intra=False)
_BEST = {"loss.intra": 0.1, "parts.overlap": 3 / 48}
_BEST_ON_CUHK03 = {column.data: {"loss.intra": 0.2} for column in (CUHK03_LABELED, CUHK03_DETECTED)}


def _table(
    number: int, title: str, metrics: tuple[str, ...], columns: tuple[Column, ...], rows: dict[str, Row]
) -> Table:
    return Table(
        recipe="attention_driven",
        paper="Attention Driven Person Re-identification (Yang et al., 2019)",
        name=f"Table {number}",
        title=title,
        metrics=metrics,
        columns=columns,
        rows=rows,
        weights="its own nine epochs on ImageNet",
        keypoints="OpenPose",
    )


def _best(*printed: Numbers, others: str) -> dict[str, Row]:
    """Return the rows of Tables 3–5: other networks, then the headline row."""
    note = "λ = 0.1 (CUHK03: 0.2) and β = 3H/48, as the text below Table 11 says"
    rows = cited(*map(len, printed), lines=others)
    return rows | {"full": Row(title="Ours", changes=_BEST, on=_BEST_ON_CUHK03, note=note, printed=printed)}


TABLE_3 = _table(
    3, "Market-1501", ("rank-1", "rank-5", "rank-10", "rank-20", "mAP"), (MARKET,),
    _best(
        (94.99, 98.25, 99.12, 99.38, 86.47),
        others="""
        LOMO+XQDA [7]     | 43.79 -     -     -     22.22
        NFST [13]         | 55.43 -     -     -     29.87
        BoW+Kissme [19]   | 44.42 63.90 72.18 78.95 20.76
        HP-net [30]       | 76.90 91.30 94.50 96.70 -
        Spindle [25]      | 76.90 91.50 94.60 96.70 64.67
        MSCAN [47]        | 80.31 -     -     -     57.53
        Part-Aligned [29] | 81.00 92.00 94.70 -     63.40
        SVDNet [41]       | 82.30 -     -     -     62.10
        PDC [37]          | 84.14 92.73 94.92 96.82 63.41
        APR [42]          | 84.29 93.20 95.19 97.00 64.67
        TriNet [39]       | 84.90 -     -     -     69.10
        JLML [46]         | 85.10 -     -     -     65.50
        DPFL [64]         | 88.60 -     -     -     72.60
        GLAD [26]         | 89.90 -     -     -     73.90
        MLFN [51]         | 90.00 -     -     -     74.30
        HA-CNN [31]       | 91.20 -     -     -     75.70
        DuATM [50]        | 91.42 97.09 -     -     76.62
        """,
    ),
)  # fmt: skip
TABLE_4 = _table(
    4,
    "DukeMTMC-reID",
    ("rank-1", "mAP"),
    (DUKE,),
    _best(
        (86.04, 74.57),
        others="""
        LOMO+XQDA [7]   | 30.75 17.04
        BoW+Kissme [19] | 25.13 12.17
        GAN(R) [20]     | 67.68 47.13
        APR [42]        | 70.69 51.88
        SVDNet [41]     | 76.70 56.80
        DPFL [64]       | 79.20 60.60
        HA-CNN [31]     | 80.50 63.80
        MLFN [51]       | 81.00 62.80
        DuATM [50]      | 81.16 67.73
        """,
    ),
)
TABLE_5 = _table(
    5, "CUHK03, old protocol", ("rank-1", "rank-5", "rank-10"), (CUHK03_LABELED, CUHK03_DETECTED),
    _best(
        (96.43, 99.73, 99.91),
        (93.58, 98.91, 99.42),
        others="""
        LOMO+XQDA [7]     | 52.20 82.23 94.14  46.25 78.90 88.55
        NFST [13]         | 58.90 85.60 92.45  53.70 83.05 93.00
        GOG [8]           | 67.30 91.00 96.00  65.50 88.40 93.70
        MSCAN [47]        | 74.21 94.33 97.54  67.99 91.04 95.36
        MuDeep [38]       | 76.87 96.12 98.41  75.64 94.36 97.46
        Part-Aligned [29] | 85.40 97.60 99.40  81.60 97.30 98.40
        JLML [46]         | 83.20 98.00 99.40  80.60 96.90 98.70
        DPFL [64]         | 86.70 -     -      82.00 -     -
        PDC [37]          | 88.70 98.61 99.24  78.29 94.83 97.15
        HP-net [30]       | 91.80 98.40 99.10  -     -     -
        MLFN [51]         | -     -     -      82.80 -     -
        """,
    ),
)  # fmt: skip

TABLE_6 = _table(
    6,
    "Ablation study",
    ("rank-1", "mAP"),
    _ALL,
    {
        "baseline": Row(
            title="Baseline", changes=_BASELINE, note="parts are fixed horizontal strips",
            printed=((86.63, 66.25), (75.98, 57.23), (85.46, None), (80.02, None)),
        ),
        "aligned": Row(
            title="Aligned", changes=_ALIGNED, note="the whole body is cut by pose too, as Fig 3 and Eq 2 have it",
            printed=((89.98, 72.46), (76.71, 60.67), (89.15, None), (84.47, None)),
        ),
        "intra": Row(
            title="Intra", changes=_UNFUSED,
            printed=((92.04, 78.92), (80.12, 63.75), (91.50, None), (88.38, None)),
        ),
        "inter": Row(
            title="Inter", changes=_INTER,
            printed=((92.07, 78.46), (79.62, 64.27), (91.76, None), (89.53, None)),
        ),
        "both": Row(
            title="Intra+inter",
            printed=((94.65, 85.22), (84.78, 71.92), (94.96, None), (93.45, None)),
        ),
        "both_best": Row(
            title="*Intra+inter", changes=_BEST, on=_BEST_ON_CUHK03, note="the best λ and β",
            printed=((94.99, 86.47), (86.04, 74.57), (96.43, None), (93.58, None)),
        ),
    },
)  # fmt: skip

_PARTS = ("head", "upper_body", "upper_leg", "lower_leg")
_BRANCHES: dict[str, tuple[str, Numbers, Numbers]] = {
    "global": ("Global", (90.11, 96.05, 97.33, 75.23), (85.75, 94.54, 96.79, 68.24)),
    "head": ("Head", (50.86, 73.31, 81.00, 26.76), (43.17, 67.37, 76.00, 21.83)),
    "upper_body": ("Up-Body", (48.96, 70.57, 78.06, 25.55), (43.37, 64.87, 72.74, 21.96)),
    "upper_leg": ("Up-Leg", (48.96, 71.41, 79.54, 28.54), (42.66, 66.15, 75.38, 23.54)),
    "lower_leg": ("Lower-Leg", (36.22, 58.07, 67.51, 18.08), (30.58, 51.92, 61.01, 14.23)),
    "parts": ("Part Fusion", (91.62, 96.82, 98.01, 75.35), (87.10, 95.37, 97.62, 69.84)),
    "all": ("Global+Part", (94.65, 98.21, 98.96, 85.22), (92.07, 97.35, 98.51, 78.46)),
}
"""The title of each branch, and rank-1, -5, -10 and mAP with and without intra-attention."""


_WAYS = {"with": True, "without": False}
_OTHER_READING = "the paper does not say whether branches are read from one network or trained alone"


def _branch(name: str, way: str) -> Row:
    """Return a branch of the network of all branches, or that network."""
    title, *numbers = _BRANCHES[name]
    own: dict[str, Any] = {"reads": f"all_{way}", "branch": name, "note": "read from the run of Global+Part"}
    return Row(
        title=f"{title}, {way} intra-attention",
        printed=(numbers[0 if _WAYS[way] else 1],),
        **({"changes": options(intra=_WAYS[way])} if name == "all" else own),
    )


def _branch_alone(name: str, way: str) -> Row:
    """Return a network of these branches alone."""
    title, *numbers = _BRANCHES[name]
    alone = {**options(branches=(name,)), "loss.intra": 1.0, "loss.inter": 0.0}
    return Row(
        title=f"{title} alone, {way} intra-attention",
        changes={**(options(branches=_PARTS) if name == "parts" else alone), **options(intra=_WAYS[way])},
        printed=(numbers[0 if _WAYS[way] else 1],),
        note=f"trained as a network of these branches alone: {_OTHER_READING}",
    )


TABLE_7 = _table(
    7,
    "Branches, with and without intra-attention",
    ("rank-1", "rank-5", "rank-10", "mAP"),
    (MARKET,),
    {
        **{f"{name}_{way}": _branch(name, way) for way in _WAYS for name in _BRANCHES},
        **{f"{name}_alone_{way}": _branch_alone(name, way) for way in _WAYS for name in _BRANCHES if name != "all"},
    },
)

_RANKS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP")
TABLE_8 = _table(
    8,
    "Attention decomposed into spatial and channel-wise",
    _RANKS,
    (MARKET,),
    {
        "without": Row(
            title="Without attention decomposition",
            changes=options(decomposed=False),
            printed=((93.26, 97.92, 98.90, 99.17, 82.47),),
            note="the paper says no more; read as one 3×3 convolution in place of both",
        ),
        "with": Row(title="With attention decomposition", printed=((94.65, 98.21, 98.96, 99.38, 85.22),)),
    },
)

TABLE_9 = _table(
    9,
    "Combining features, without intra-attention",
    _RANKS,
    (MARKET,),
    {
        "concat": Row(title="Concatenation", changes=_ALIGNED, printed=((89.98, 96.31, 97.68, 98.49, 72.46),)),
        "fc": Row(
            title="FC fusion",
            changes=options(intra=False, fusion="fc"),
            printed=((90.94, 96.58, 97.89, 98.93, 77.11),),
            note="one linear layer of as many outputs; the paper gives no size",
        ),
        "inter": Row(title="Inter-attention", changes=_INTER, printed=((92.07, 97.35, 98.51, 99.02, 78.46),)),
    },
)

_LAMBDA: dict[float, tuple[float, ...]] = {
    0.0: (83.64, 63.70, 72.17, 54.35, 80.22, 74.83),
    0.1: (94.98, 86.45, 85.90, 74.10, 94.99, 93.51),
    0.2: (94.92, 86.19, 85.63, 73.40, 95.91, 93.56),
    0.3: (94.84, 85.58, 85.56, 72.83, 95.74, 93.53),
    0.4: (94.73, 85.36, 84.93, 72.27, 95.41, 93.49),
    0.5: (94.65, 85.22, 84.78, 71.92, 94.96, 93.45),
    0.6: (94.50, 84.82, 83.71, 70.27, 94.88, 92.99),
    0.7: (94.26, 84.74, 83.58, 69.42, 94.74, 92.57),
    0.8: (94.09, 84.61, 83.21, 69.10, 94.40, 91.99),
    0.9: (94.00, 84.13, 82.49, 68.14, 94.16, 91.65),
    1.0: (93.97, 84.02, 81.46, 67.32, 93.56, 91.19),
}
"""The rank-1 and mAP on Market-1501, the same on DukeMTMC-reID, and rank-1 on both CUHK03."""
TABLE_10 = _table(
    10,
    "The weight λ of the branches' own losses",
    ("rank-1", "mAP"),
    _ALL,
    {
        f"lambda_{weight}": Row(
            title=f"λ = {weight}", changes={"loss.intra": weight},
            printed=((n[0], n[1]), (n[2], n[3]), (n[4], None), (n[5], None)),
        )
        for weight, n in _LAMBDA.items()
    },
)  # fmt: skip

_BETA: tuple[tuple[Numbers, Numbers], ...] = (
    ((94.28, 98.14, 98.91, 85.19), (84.42, 92.23, 94.28, 71.26)),
    ((94.35, 98.18, 98.81, 85.22), (84.87, 92.81, 94.66, 71.62)),
    ((94.36, 98.18, 98.78, 85.53), (85.41, 92.63, 94.85, 71.87)),
    ((94.95, 98.45, 98.99, 85.85), (85.42, 92.68, 94.48, 72.32)),
    ((94.77, 98.12, 98.87, 85.57), (85.14, 92.28, 94.32, 71.96)),
    ((94.65, 98.21, 98.96, 85.22), (84.78, 92.10, 94.30, 71.92)),
    ((94.53, 98.30, 98.90, 85.13), (84.41, 92.68, 94.79, 71.42)),
)
"""The rank-1, -5, -10 and mAP for each multiple of H/48."""
TABLE_11 = _table(
    11,
    "The overlap β of neighboring parts",
    ("rank-1", "rank-5", "rank-10", "mAP"),
    (MARKET, DUKE),
    {
        f"beta_{n}": Row(title=f"β = {n}H/48", changes={"parts.overlap": n / 48}, printed=printed)
        for n, printed in enumerate(_BETA)
    },
)

_FOREIGN = "an image classification network, which is not part of this package"
TABLE_12 = _table(
    12,
    "Model complexity: multiply-adds (10⁹) and weights (millions)",
    ("multiply-adds", "weights"),
    (MARKET,),
    {
        "alexnet": Row(title="AlexNet", unsupported=_FOREIGN, printed=((1.07, 58.3),)),
        "vgg": Row(title="VGG", unsupported=_FOREIGN, printed=((22.8, 134.2),)),
        "resnet50": Row(
            title="ResNet50",
            changes={"model.name": "dual_attention", **options(se=False, self_attention=False)},
            printed=((5.58, 23.5),),
            note="the backbone of the other papers, at 384×192",
        ),
        "googlenet": Row(title="GoogLeNet", unsupported=_FOREIGN, printed=((2.31, 6.0),)),
        "base": Row(
            title="Base model", changes=options(intra=False, fusion="concat"), printed=((2.26, 6.8),),
            note="its multiply-adds cannot be rebuilt from the paper's Table 1; the increment of the full model can",
        ),
        "full": Row(title="Full model", printed=((2.69, 10.4),)),
    },
)  # fmt: skip

PAPERS.register("attention_driven")(
    {
        "table3": TABLE_3,
        "table4": TABLE_4,
        "table5": TABLE_5,
        "table6": TABLE_6,
        "table7": TABLE_7,
        "table8": TABLE_8,
        "table9": TABLE_9,
        "table10": TABLE_10,
        "table11": TABLE_11,
        "table12": TABLE_12,
    }
)
