"""AaP-ReID, the "improved attention-aware person re-identification" network (Gautam, Prasad, Sinha; 2023).

The model is AlignedReID++ with three changes, each a switch of the paper's ablation (its Tables 1–3):

- last stride 1 instead of 2 (§3.3): 16 stripes at 256×128;
- BaND (§3.4, Eq 4): BN → ReLU on the map before the global branch, dropout after its pooling. The identity loss, the
  triplet loss and its mining all get the dropped vector: the dropout is "subsequent to the GAP layer", and the global
  branch has both losses (§3.1). ``triplet_after_dropout=False`` gives the triplet loss the undropped one;
- channel-wise attention in the residual blocks (§3.2, Eq 1–3: ``passerby.models.attention.cwa``),
  in layers 3 and 4 (AaP-ReID) or in all four (the paper's CWA-all).

Deviations: Eq 4 is unscaled Bernoulli dropout; this is the usual inverted dropout, whose test-time
output needs no rescaling. The authors' published code skips BaND's BN and ReLU and the local 1×1
convolution at test; the text does not, and neither does this model unless ``band_at_test=False``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from passerby.models.aligned_reid import LocalBranch, raw_stripes
from passerby.models.attention import attention_factory
from passerby.models.backbones import create_backbone
from passerby.models.base import WHOLE, MapLayers, ReidModel, identity_classifier
from passerby.models.card import ModelCard
from passerby.models.registry import register
from passerby.types import ModelOutput

ALL_LAYERS = (1, 2, 3, 4)


class BaNDMap(nn.Sequential):
    """The map half of BaND: BN → ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU())


@register
class AaPReID(ReidModel):
    """The model AaP-ReID and every row of its ablations.

    Args:
        last_stride: 1, or 2 for the baseline.
        band: BN + ReLU before and dropout after the global pooling.
        attention: ``cwa_mul`` (the paper's CWA(x)), ``cwa_add``, ``bam``, ``sp``, ``eca`` or ``none``.
        attention_stages: backbone layers whose blocks carry it; ``ALL_LAYERS`` is CWA-all.
        attention_position: after the block's last BN, or before it (the authors' code).
        dropout: rate p of BaND's dropout (Eq 4).
        triplet_after_dropout: the triplet loss sees the vector after the dropout, as the identity loss does.
        band_at_test: ``False`` evaluates on the raw map, as the authors' code does.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="aap_reid",
        paper="AaP-ReID (Gautam et al., 2023)",
        input_size=(256, 128),
        embedding_size=2048,
        parameters=27_691_183,
        distances=("global", "local", "global_local"),
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 1,
        band: bool = True,
        attention: str = "cwa_mul",
        attention_stages: tuple[int, ...] = (3, 4),
        attention_position: Literal["post_bn", "pre_bn"] = "post_bn",
        dropout: float = 0.5,
        triplet_after_dropout: bool = True,
        band_at_test: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = create_backbone(
            backbone,
            last_stride=last_stride,
            attention=attention_factory(attention),
            attention_stages=tuple(attention_stages),
            attention_position=attention_position,
        )
        self.embedding_size = self.backbone.channels
        self.band = BaNDMap(self.embedding_size) if band else nn.Identity()
        self.dropout = nn.Dropout(dropout if band else 0.0)
        self.triplet_after_dropout = triplet_after_dropout
        self.band_at_test = band_at_test
        self.local = LocalBranch(self.embedding_size)
        self.classifier = identity_classifier(self.embedding_size, num_classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        maps = self.backbone(images)  # (b, c, h, w)
        as_published = self.training or self.band_at_test
        pooled = (self.band(maps) if as_published else maps).mean(dim=(2, 3))  # (b, c)
        local = self.local(maps) if as_published else raw_stripes(maps)
        dropped = self.dropout(pooled)  # Eq 4
        metric = dropped if self.triplet_after_dropout else pooled
        return ModelOutput(embedding=pooled, metric=metric, logits=self.classifier(dropped), local=local)

    def map_layers(self) -> MapLayers:
        """Return the layers of the backbone, and BaND's, which the global branch pools."""
        layers = super().map_layers()
        return layers | {"band": {WHOLE: self.band}} if isinstance(self.band, BaNDMap) and self.band_at_test else layers
