"""The Vision Transformers of TransReID's baseline (He et al., ICCV 2021) and of CLIP-ReID's image encoder.

A ViT → its class token is the embedding and the metric losses' input → BN neck (shift fixed at 0) → classifier. As in
both programs, the token before the neck is what is compared at test. CLIP-ReID (Li et al., AAAI 2023) compares the
token and its projection into CLIP's common space, one behind the other.

Deviations: no embedding of cameras or viewpoints, no jigsaw branch (TransReID's full model), no text encoder and no
classifier of the projection (CLIP-ReID's training). There are no maps of layers for figures, since tokens are no map.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.backbones.vit import VisionTransformer
from passerby.models.base import ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput


class _ViT(ReidModel):
    backbone_prefix: ClassVar[str | None] = None
    clip: ClassVar[bool]

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        size: tuple[int, int] = (256, 128),
        stride: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
    ) -> None:
        super().__init__()
        self.backbone = VisionTransformer(
            size=size, stride=stride, width=width, depth=depth, heads=heads, clip=self.clip
        )
        self.projection: nn.Linear | None = None
        self.embedding_size = width
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.neck.weight.requires_grad_(num_classes is not None)  # without a classifier nothing follows the neck
        self.classifier = identity_classifier(width, num_classes, bias=False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        token = self.backbone(images)[:, 0]
        embedding = token if self.projection is None else torch.cat([token, self.projection(token)], dim=1)
        return ModelOutput(embedding=embedding, metric=embedding, logits=self.classifier(self.neck(token)))


@register
class ViTB16(_ViT):
    """The ViT-B/16 of TransReID's baseline.

    Args:
        size: the image size as (height, width), which the learned positions belong to.
        stride: the distance of patches, 16, or 12 where they overlap.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="vit_b16",
        paper="TransReID's baseline (He et al., ICCV 2021)",
        input_size=(256, 128),
        embedding_size=768,
        parameters=86_324_736,
    )
    clip: ClassVar[bool] = False


@register
class CLIPViTB16(_ViT):
    """The ViT-B/16 of CLIP-ReID: CLIP's image encoder.

    Args:
        projection: the size of CLIP's common space; the other options are those of ``vit_b16``.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="clip_vit_b16",
        paper="CLIP-ReID (Li et al., AAAI 2023)",
        input_size=(256, 128),
        embedding_size=1280,
        parameters=86_718_720,
    )
    clip: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        size: tuple[int, int] = (256, 128),
        stride: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        projection: int = 512,
    ) -> None:
        super().__init__(num_classes=num_classes, size=size, stride=stride, width=width, depth=depth, heads=heads)
        self.projection = nn.Linear(width, projection, bias=False)
        self.embedding_size = width + projection
