"""OSNet: omni-scale feature learning (Zhou et al., ICCV 2019), at four widths.

State-dict keys are torchreid's, so that its published checkpoints load unchanged. The backbone
(``passerby.models.backbones.osnet``) is followed by average pooling and a 512-d fully connected layer
with BN and ReLU, whose output is the embedding and the input of the classifier.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.backbones.osnet import OSNetBackbone
from passerby.models.base import WHOLE, MapLayers, ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput

EMBEDDING = 512


class _OSNet(ReidModel):
    backbone_prefix: ClassVar[str | None] = None
    width: ClassVar[float]

    def __init__(self, *, num_classes: int | None = None) -> None:
        super().__init__()
        backbone = OSNetBackbone(width=self.width)
        for name, module in backbone.named_children():  # torchreid's keys have no prefix
            self.add_module(name, module)
        self._order = tuple(name for name, _ in backbone.named_children())
        self.embedding_size = EMBEDDING
        self.fc = nn.Sequential(nn.Linear(backbone.channels, EMBEDDING), nn.BatchNorm1d(EMBEDDING), nn.ReLU())
        self.classifier = identity_classifier(EMBEDDING, num_classes)

    def map_layers(self) -> MapLayers:
        """Return the last block of each stage, before the transition, and the 1×1 convolution after all stages."""
        blocks = {name: getattr(self, name)[1] for name in ("conv2", "conv3", "conv4")}
        return {name: {WHOLE: module} for name, module in (blocks | {"conv5": self.conv5}).items()}

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        maps = images
        for name in self._order:
            maps = getattr(self, name)(maps)
        embedding = self.fc(maps.mean(dim=(2, 3)))
        return ModelOutput(embedding=embedding, metric=embedding, logits=self.classifier(embedding))


def _card(name: str, parameters: int) -> ModelCard:
    return ModelCard(
        name=name,
        paper="OSNet (Zhou et al., ICCV 2019)",
        input_size=(256, 128),
        embedding_size=EMBEDDING,
        parameters=parameters,
    )


@register
class OSNetX025(_OSNet):
    """The OSNet of a quarter of the width."""

    card: ClassVar[ModelCard] = _card("osnet_x0_25", 587_127)
    width: ClassVar[float] = 0.25


@register
class OSNetX05(_OSNet):
    """The OSNet of half the width."""

    card: ClassVar[ModelCard] = _card("osnet_x0_5", 1_015_297)
    width: ClassVar[float] = 0.5


@register
class OSNetX075(_OSNet):
    """The OSNet of three quarters of the width."""

    card: ClassVar[ModelCard] = _card("osnet_x0_75", 1_671_017)
    width: ClassVar[float] = 0.75


@register
class OSNetX10(_OSNet):
    """The OSNet of full width."""

    card: ClassVar[ModelCard] = _card("osnet_x1_0", 2_554_771)
    width: ClassVar[float] = 1.0
