"""A Person Re-Identification Network Based upon Channel Attention and Self-Attention (Sun, Wang; 2021).

ResNet-50 with squeeze-and-excitation in every residual block → self-attention on its last map → global average pool →
linear classifier. Each attention is a switch, which makes the four rows of its Table 2.

- §II.B, SE: :mod:`passerby.models.attention.se`;
- §II.C, Eq 1–3, self-attention: :mod:`passerby.models.attention.self_attention`;
- losses (label-smoothed cross-entropy and batch-hard triplet, margin 0.3): :mod:`passerby.losses.reid`.

*Deviations*: the place of SE within a block is not printed; as in Hu et al. it scales the residual branch's output,
after its last BN and before the sum. The paper does not say which vector the triplet loss gets: here the pooled one,
which is also the embedding.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError
from passerby.models.attention.se import SE
from passerby.models.attention.self_attention import SelfAttention
from passerby.models.backbones import create_backbone
from passerby.models.base import WHOLE, MapLayers, ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput

ALL_LAYERS = (1, 2, 3, 4)


@register
class DualAttention(ReidModel):
    """The model with channel attention in the backbone and self-attention on its map.

    Args:
        last_stride: stride of the backbone's last downsampling; 2 is the paper's (a map of 12×4 at 384×128).
        se: squeeze-and-excitation in every residual block.
        self_attention: self-attention on the last map.
        scaled: divide the scores by √d_k (Eq 1).
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="dual_attention",
        paper="Channel Attention and Self-Attention (Sun and Wang, 2021)",
        input_size=(384, 128),
        embedding_size=2048,
        parameters=32_825_824,
        normalize=False,
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 2,
        se: bool = True,
        self_attention: bool = True,
        scaled: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = create_backbone(
            backbone, last_stride=last_stride, attention=SE if se else None, attention_stages=ALL_LAYERS
        )
        self.embedding_size = self.backbone.channels
        self.self_attention = SelfAttention(self.embedding_size, scaled=scaled) if self_attention else None
        self.classifier = identity_classifier(self.embedding_size, num_classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        maps = self.backbone(images)  # (b, c, h, w)
        if self.self_attention is not None:
            maps = self.self_attention(maps)
        pooled = maps.mean(dim=(2, 3))  # (b, c)
        return ModelOutput(embedding=pooled, metric=pooled, logits=self.classifier(pooled))

    def map_layers(self) -> MapLayers:
        """Return the layers of the backbone, and the self-attention on the last one."""
        layers = super().map_layers()
        return layers if self.self_attention is None else layers | {"self_attention": {WHOLE: self.self_attention}}

    @torch.no_grad()
    def attention_at(self, images: Float[Tensor, "b 3 h w"], position: tuple[int, int]) -> Float[Tensor, "b y x"]:
        """Return the attention weights of one position (row, column) of the last map, which sum to 1; for figures.

        Raises:
            ConfigError: for a model without self-attention.
            ShapeError: for a position outside the map.
        """
        if self.self_attention is None:
            raise ConfigError("this dual_attention has no attention weights: it was built with self_attention=False")
        return self.self_attention.row(self.backbone(images), position)
