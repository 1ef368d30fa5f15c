"""AlignedReID++, which is "dynamically matching local information" (Luo et al., Pattern Recognition 2019).

The backbone's map feeds two branches. Global: average pool → ID classifier. Local: one vector for each row
of the map (:class:`LocalBranch`), compared by DMLI (``passerby.retrieval.distance.dmli``), trained with the
triplets that the global branch mined (``passerby.losses.triplet``). Test distance: ``evaluation.distance``; its paper
reports the global one, and the sum of both.

It is AaP-ReID's baseline: 25,313,199 parameters with ResNet-50 and 751 classes.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.models.backbones import create_backbone
from passerby.models.base import ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput


def horizontal_stripes(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h"]:
    """Return the maximum over the full width of each row."""
    return maps.amax(dim=3)


class LocalBranch(nn.Module):
    """The local branch: BN → ReLU → horizontal max pool → 1×1 convolution (bias) → L2 normalization of each stripe."""

    def __init__(self, channels: int, local_channels: int = 128) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.reduce = nn.Conv1d(channels, local_channels, 1)

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h s"]:
        stripes = self.reduce(horizontal_stripes(torch.relu(self.norm(maps))))  # (b, s, h)
        return F.normalize(stripes, dim=1).transpose(1, 2)


def raw_stripes(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h c"]:
    """Return the L2-normalized stripes of the map itself, without the local branch's layers."""
    return F.normalize(horizontal_stripes(maps), dim=1).transpose(1, 2)


@register
class AlignedReID(ReidModel):
    """The model AlignedReID++.

    Args:
        last_stride: stride of the backbone's last downsampling; the paper's is 2 (8 stripes at 256×128).
        local_at_test: ``False`` compares the raw stripes of the map at test, as the authors' code does.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="aligned_reid",
        paper="AlignedReID++ (Luo et al., 2019)",
        input_size=(256, 128),
        embedding_size=2048,
        parameters=25_313_199,
        distances=("global", "local", "global_local"),
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 2,
        local_at_test: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = create_backbone(backbone, last_stride=last_stride)
        self.embedding_size = self.backbone.channels
        self.local = LocalBranch(self.embedding_size)
        self.local_at_test = local_at_test
        self.classifier = identity_classifier(self.embedding_size, num_classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        maps = self.backbone(images)  # (b, c, h, w)
        pooled = maps.mean(dim=(2, 3))  # (b, c)
        local = self.local(maps) if self.training or self.local_at_test else raw_stripes(maps)
        return ModelOutput(embedding=pooled, metric=pooled, logits=self.classifier(pooled), local=local)
