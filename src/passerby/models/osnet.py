"""OSNet: omni-scale feature learning (Zhou et al., ICCV 2019), at four widths, with OSNet-IBN and OSNet-AIN (2021).

State-dict keys are torchreid's, so that its published checkpoints load unchanged. The backbone
(``passerby.models.backbones.osnet``) is followed by average pooling and a 512-d fully connected layer
with BN and ReLU, whose output is the embedding and the input of the classifier.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.backbones.osnet import Normalization, OSNetBackbone
from passerby.models.base import WHOLE, MapLayers, ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput

EMBEDDING = 512


class _OSNet(ReidModel):
    backbone_prefix: ClassVar[str | None] = None
    width: ClassVar[float]
    normalization: ClassVar[Normalization] = "batch"

    def __init__(self, *, num_classes: int | None = None) -> None:
        super().__init__()
        backbone = OSNetBackbone(width=self.width, normalization=self.normalization)
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


PAPER = "OSNet (Zhou et al., ICCV 2019)"
VARIANTS_PAPER = "OSNet-AIN (Zhou et al., TPAMI 2021)"


def _card(name: str, parameters: int, paper: str = PAPER) -> ModelCard:
    return ModelCard(
        name=name,
        paper=paper,
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


@register
class OSNetIBNX10(_OSNet):
    """The OSNet-IBN of full width: instance normalization in the stem and behind the blocks of the first stage."""

    card: ClassVar[ModelCard] = _card("osnet_ibn_x1_0", 2_555_795, VARIANTS_PAPER)
    width: ClassVar[float] = 1.0
    normalization: ClassVar[Normalization] = "ibn"


class _OSNetAIN(_OSNet):
    normalization: ClassVar[Normalization] = "ain"


@register
class OSNetAINX025(_OSNetAIN):
    """The OSNet-AIN of a quarter of the width."""

    card: ClassVar[ModelCard] = _card("osnet_ain_x0_25", 587_127, VARIANTS_PAPER)
    width: ClassVar[float] = 0.25


@register
class OSNetAINX05(_OSNetAIN):
    """The OSNet-AIN of half the width."""

    card: ClassVar[ModelCard] = _card("osnet_ain_x0_5", 1_015_297, VARIANTS_PAPER)
    width: ClassVar[float] = 0.5


@register
class OSNetAINX075(_OSNetAIN):
    """The OSNet-AIN of three quarters of the width."""

    card: ClassVar[ModelCard] = _card("osnet_ain_x0_75", 1_671_017, VARIANTS_PAPER)
    width: ClassVar[float] = 0.75


@register
class OSNetAINX10(_OSNetAIN):
    """The OSNet-AIN of full width: instance normalization where the paper's search placed it."""

    card: ClassVar[ModelCard] = _card("osnet_ain_x1_0", 2_554_771, VARIANTS_PAPER)
    width: ClassVar[float] = 1.0
