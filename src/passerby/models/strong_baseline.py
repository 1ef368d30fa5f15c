"""The bag of tricks, a strong baseline for re-identification (Luo et al., CVPR workshops 2019).

A backbone with last stride 1 → global average pool → BN neck: the triplet loss sees the pooled vector,
the classifier (no bias) and the cosine retrieval see it after batch normalization. The neck's shift
is fixed at 0. Tricks outside the network (warm-up, random erasing, label smoothing) are in
``passerby.recipes.strong_baseline``.

With ``pooling="gem"`` (a learned generalized mean), ``non_local`` and the stem of other programs it is also the network
of fast-reid's AGW and SBS (He et al., 2020), and of the paper authors' code, whose stem has no ReLU. With ``schema`` it
also predicts attributes, one linear classifier per group behind the neck.

Deviations: no center loss.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from passerby.data.attributes.schema import Schema, schema_of
from passerby.errors import ConfigError
from passerby.models.backbones import create_backbone
from passerby.models.backbones.resnet import Stem
from passerby.models.base import ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.gem import GeM
from passerby.models.registry import register
from passerby.types import ModelOutput


@register
class StrongBaseline(ReidModel):
    """The strong baseline with a BN neck.

    Args:
        pooling: the pooling of the last map, ``average`` or ``gem``.
        stem: the stem of a ResNet (:data:`~passerby.models.backbones.resnet.Stem`).
        non_local: whether a ResNet-50 or -101 has non-local blocks in layers 2 and 3.
        mix_style: the probability that a MobileNetV2 mixes the styles of a batch's images in training
            (:mod:`passerby.models.backbones.mix_style`).
        schema: the attributes to learn: ``market1501``, ``dukemtmc``, or your own schema; ``None``: none.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="strong_baseline",
        paper="Bag of Tricks (Luo et al., CVPRW 2019)",
        input_size=(256, 128),
        embedding_size=2048,
        parameters=25_050_176,
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 1,
        pooling: Literal["average", "gem"] = "average",
        stem: Stem = "padded",
        non_local: bool = False,
        mix_style: float = 0.0,
        schema: str | Schema | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("average", "gem"):
            raise ConfigError(f"pooling is average or gem, got {pooling!r}")
        variant: dict[str, Any] = {"stem": stem} if stem != "padded" else {}
        variant |= {"non_local": True} if non_local else {}
        variant |= {"mix_style": mix_style} if mix_style else {}
        self.backbone = create_backbone(backbone, last_stride=last_stride, **variant)
        self.pool = GeM() if pooling == "gem" else None
        self.embedding_size = self.backbone.channels
        self.neck = nn.BatchNorm1d(self.embedding_size)
        self.neck.bias.requires_grad_(False)
        self.classifier = identity_classifier(self.embedding_size, num_classes, bias=False)
        for weight in self.classifier.parameters():
            nn.init.normal_(weight, std=0.001)
        self.schema = schema_of(schema) if isinstance(schema, str) else schema
        sizes = self.schema.sizes if self.schema else ()
        self.attributes = nn.ModuleList(nn.Linear(self.embedding_size, size) for size in sizes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        maps = self.backbone(images)
        pooled = maps.mean(dim=(2, 3)) if self.pool is None else self.pool(maps)  # (b, c)
        necked = self.neck(pooled)
        attributes = tuple(head(necked) for head in self.attributes) or None
        return ModelOutput(embedding=necked, metric=pooled, logits=self.classifier(necked), attributes=attributes)
