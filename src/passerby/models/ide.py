"""The identity-discriminative embedding, the plain baseline (Zheng et al., Past, Present and Future, 2016).

A backbone → global average pool [→ linear layer, BN, ReLU], whose output is the embedding and the classifier's input.
It is torchreid's ``resnet50``, and its ``resnet50_fc512`` with ``features=512`` and ``last_stride=1``.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.backbones import create_backbone
from passerby.models.base import ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput


@register
class IDE(ReidModel):
    """The plain baseline: a backbone and a classifier.

    Args:
        features: the size of a linear layer behind the pooling; ``None``: none.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="ide",
        paper="IDE (Zheng et al., 2016)",
        input_size=(256, 128),
        embedding_size=2048,
        parameters=25_046_831,
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 2,
        features: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = create_backbone(backbone, last_stride=last_stride)
        self.embedding_size = features or self.backbone.channels
        self.fc = (
            nn.Sequential(nn.Linear(self.backbone.channels, features), nn.BatchNorm1d(features), nn.ReLU())
            if features
            else None
        )
        self.classifier = identity_classifier(self.embedding_size, num_classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        pooled = self.backbone(images).mean(dim=(2, 3))
        embedding = pooled if self.fc is None else self.fc(pooled)
        return ModelOutput(embedding=embedding, metric=embedding, logits=self.classifier(embedding))
