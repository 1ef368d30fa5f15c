"""AANet: Attribute Attention Network for Person Re-Identifications (Tay, Roy, Yap; CVPR 2019).

One backbone map X feeds four tasks, whose hidden vectors V together are the descriptor (3072 numbers).

- §3.1, GFN, and the Z → V → C layers that every identity head has: :class:`IdentityHead`;
- §3.2, Eq 1, PFN, six heads on six parts: :mod:`passerby.models.aanet.parts`;
- §3.3 i, AFN, attributes from the whole map and its thirds: :class:`AttributeNetwork`;
- §3.3 ii, AAM, a head on the map where attributes are seen: :mod:`passerby.models.aanet.map`;
- Eq 2–6, the loss: :mod:`passerby.losses.multitask`.

The rows of its Table 3 leave out tasks: ``parts``, ``attributes`` and ``attention_map`` off is L_g alone.

*Deviations*: the attribute heads share V, one 1×1 convolution with BN and ReLU before the pooling, so that a class
activation map is exact. Which group reads which of the four vectors is printed for a few only; :data:`ATTRIBUTE_VECTORS` completes
it. "The classifier takes the AAM" is read as X where the map is on. Its groups on DukeMTMC-reID are not printed: six
that correspond to Market-1501's. See the modules above for the clustering and the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.data.attributes.schema import Schema, schema_of
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.models.aanet.map import Threshold, activation_map, attention_mask, min_max
from passerby.models.aanet.parts import even_stripes, peak_parts, pool_rows
from passerby.models.backbones import create_backbone
from passerby.models.base import ReidModel
from passerby.models.card import Block, ModelCard, consecutive_blocks
from passerby.models.registry import register
from passerby.types import ModelOutput

HIDDEN = 256
"""V of §3.5."""
PARTS = 6
VECTORS = ("global", "top", "middle", "bottom")
ATTRIBUTE_VECTORS = {
    **dict.fromkeys(("hat", "hair length", "sleeve length", "length of upper", "upper color"), "top"),
    **dict.fromkeys(("backpack", "bag", "handbag"), "middle"),
    **dict.fromkeys(("lower color", "type of lower", "length of lower", "boots", "shoe color"), "bottom"),
    **dict.fromkeys(("gender", "age"), "global"),
}
"""The vector that classifies each attribute; those of other schemas read the global one."""
_SEEN_MARKET = ("gender", "hair length", "upper color", "lower color", "type of lower", "length of lower")
_SEEN_DUKE = ("gender", "length of upper", "upper color", "lower color", "boots", "shoe color")
VISIBLE_ATTRIBUTES = frozenset(_SEEN_MARKET) | frozenset(_SEEN_DUKE)
"""Attributes whose activation maps make the attention map: six of Market-1501's and six of DukeMTMC-reID's groups."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
ATTENTION_MAP = "aam"
"""Its key in ``ModelOutput.maps``, beside the names of the groups."""


class IdentityHead(nn.Module):
    """Pooled map Z → V (1×1 convolution without bias, BN, ReLU) → C identities.

    Raises:
        ShapeError: for a batch of one in training mode, where batch statistics do not exist.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, HIDDEN, bias=False)  # of a 1×1 map, which is what a 1×1 convolution is
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.classifier = nn.Linear(HIDDEN, num_classes)

    def forward(self, pooled: Float[Tensor, "b z"]) -> tuple[Float[Tensor, "b v"], Float[Tensor, "b n"]]:
        if self.norm.training and len(pooled) == 1:
            raise ShapeError(
                "an identity head got a batch of 1 image in training mode, but its batch normalization needs 2 or "
                "more; give a larger batch, drop the last one, or call eval() first"
            )
        V = torch.relu(self.norm(self.reduce(pooled)))
        return V, self.classifier(V)


class AttributeOutput(NamedTuple):
    """Of the attribute network."""

    vectors: Tensor
    """``(b, 4, v)``: V averaged globally, over its top, its middle and its bottom."""
    scores: tuple[Tensor, ...]
    """``(b, values)`` of each group."""
    maps: Tensor
    """``(b, g, h, w)``: where each group's predicted class is seen, in [0, 1], whatever vector classifies it."""


class AttributeNetwork(nn.Module):
    """X → V (1×1 convolution without bias, BN, ReLU) → four pooled vectors → one classifier a group of the schema."""

    def __init__(self, channels: int, schema: Schema) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, HIDDEN, 1, bias=False)
        self.norm = nn.BatchNorm2d(HIDDEN)
        self.classifiers = nn.ModuleList(nn.Linear(HIDDEN, size) for size in schema.sizes)
        self.names = tuple(group.name for group in schema.groups)
        self.reads = tuple(VECTORS.index(ATTRIBUTE_VECTORS.get(group.name, "global")) for group in schema.groups)

    def forward(self, X: Float[Tensor, "b z h w"]) -> AttributeOutput:
        V = torch.relu(self.norm(self.reduce(X)))
        height = V.shape[2]
        rows = torch.cat([even_stripes(height, parts, device=V.device) for parts in (1, 3)])
        vectors = pool_rows(V, rows.expand(V.shape[0], -1, -1))
        scores = tuple(head(vectors[:, i]) for head, i in zip(self.classifiers, self.reads, strict=True))
        heads = zip(self.classifiers, scores, strict=True)
        maps = [min_max(activation_map(V, cast(Tensor, head.weight), each)) for head, each in heads]
        return AttributeOutput(vectors, scores, torch.stack(maps, dim=1))


@register
class AANet(ReidModel):
    """AANet and every row of its ablation.

    ``logits`` are the global head's; ``branches`` hold those of the ``parts`` (six) and of the ``attention`` map (one);
    ``attributes`` one tensor a group; ``maps`` where each group's predicted class is seen, and the attention map, which
    is called ``aam``.

    Args:
        last_stride: of the backbone's last downsampling; 2 is the paper's (a map of 12×4 at 384×128).
        schema: the attributes to learn: ``market1501``, ``dukemtmc``, or a schema of one's own.
        parts: six heads on six parts (L_p).
        attributes: the attribute network (L_a).
        attention_map: the head on the attribute attention map (L_aa), which needs ``attributes``.
        attention_groups: whose activation maps make that map; ``None``: those of :data:`VISIBLE_ATTRIBUTES`.
        threshold: of the attention map, ``otsu`` or ``mean``.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="aanet", paper="AANet (Tay et al., CVPR 2019)", input_size=(384, 128), normalize=False
    )
    identities: ClassVar[str] = "head.classifier.weight"

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: str = "resnet50",
        last_stride: int = 2,
        schema: str | Schema = "market1501",
        parts: bool = True,
        attributes: bool = True,
        attention_map: bool = True,
        attention_groups: Sequence[str] | None = None,
        threshold: Threshold = "otsu",
    ) -> None:
        super().__init__()
        if attention_map and not attributes:
            raise ConfigError("attention_map=True needs attributes=True: the map is made of the attributes' maps")
        if threshold not in get_args(Threshold):
            raise UnknownNameError("threshold", threshold, get_args(Threshold))
        said = schema_of(schema) if isinstance(schema, str) else schema
        self.schema = said if attributes else None
        self.threshold: Threshold = threshold
        self.backbone = create_backbone(backbone, last_stride=last_stride)
        channels = self.backbone.channels
        self.head = IdentityHead(channels, num_classes)
        self.parts = nn.ModuleList(IdentityHead(channels, num_classes) for _ in range(PARTS if parts else 0))
        self.attributes = AttributeNetwork(channels, said) if attributes else None
        self.attention = IdentityHead(channels, num_classes) if attention_map else None
        self.attended = _places(said, attention_groups) if attention_map else []
        vectors = 1 + len(self.parts) + len(VECTORS) * attributes + attention_map
        self.embedding_size = HIDDEN * vectors

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        X = self.backbone(images)  # (b, z, h, w)
        V, logits = self.head(X.mean(dim=(2, 3)))
        hidden = [V]
        branches: dict[str, tuple[Tensor, ...]] = {}
        maps: dict[str, Tensor] = {}
        if self.parts:
            V_parts, branches["parts"] = self._of_parts(X)
            hidden += V_parts
        attributes: AttributeOutput | None = None
        if self.attributes is not None:
            attributes = self.attributes(X)
            hidden += attributes.vectors.unbind(dim=1)
            maps |= dict(zip(self.attributes.names, attributes.maps.unbind(dim=1), strict=True))
        if self.attention is not None and attributes is not None:
            mask = attention_mask(attributes.maps[:, self.attended], self.threshold)  # (b, h, w)
            V, scores = self.attention((mask[:, None] * X).mean(dim=(2, 3)))
            hidden.append(V)
            branches["attention"], maps[ATTENTION_MAP] = (scores,), mask
        embedding = torch.cat(hidden, dim=1)
        return ModelOutput(
            embedding=embedding,
            metric=embedding,
            logits=logits,
            branches=branches or None,
            attributes=None if attributes is None else attributes.scores,
            maps=maps or None,
        )

    def blocks(self) -> tuple[Block, ...]:
        """The hidden vectors V of the tasks; parts are counted from the head down."""
        places = _ORDINALS[: len(self.parts)]
        named = [("whole body", "")]
        named += [(f"part {i}", f"the {place} of {PARTS} parts") for i, place in enumerate(places, start=1)]
        if self.attributes is not None:
            named += [(f"attributes, {vector}", "") for vector in VECTORS]
        if self.attention is not None:
            named.append(("attention map", ""))
        return consecutive_blocks((name, HIDDEN, region) for name, region in named)

    def _of_parts(self, X: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """V and scores of the six parts."""
        pooled = pool_rows(X, peak_parts(X, PARTS)).unbind(dim=1)  # six times (b, z)
        V, scores = zip(*(head(part) for head, part in zip(self.parts, pooled, strict=True)), strict=True)
        return V, scores


def _places(schema: Schema, names: Sequence[str] | None) -> list[int]:
    """Of the groups that make the attention map."""
    chosen = [group.name for group in schema.groups if group.name in VISIBLE_ATTRIBUTES] if names is None else names
    if not chosen:
        raise ConfigError(
            f"none of the attributes of {schema.name} is known to be seen on every picture; name those that make the "
            "attention map as attention_groups, or set attention_map=False"
        )
    return [schema.index(name) for name in chosen]
