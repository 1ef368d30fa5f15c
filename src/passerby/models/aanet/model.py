"""AANet, the "Attribute Attention Network for Person Re-Identifications" (Tay, Roy, Yap; CVPR 2019).

One backbone map X feeds four tasks, whose hidden vectors V together are the embedding (3072 numbers).

- §3.1, GFN, and the Z → V → C layers that every identity head has: :class:`IdentityHead`;
- §3.2, Eq 1, PFN, six heads on six parts: :mod:`passerby.models.aanet.parts`;
- §3.3 i, AFN, attributes from the whole map, its upper half, its middle and its bottom: :class:`AttributeNetwork`;
- §3.3 ii, AAM, a head on the map of visible attributes: :mod:`passerby.models.aanet.map`;
- Eq 2–6, the loss: :mod:`passerby.losses.multitask`.

The rows of its Table 3 leave out tasks: with ``parts``, ``attributes`` and ``attention_map`` off, L_g alone remains.

*Deviations*: the attribute heads share V, one 1×1 convolution with BN and ReLU before the pooling, so that a class
activation map is exact. Top is the upper half of the map, for "features from the lower half of the body are ignored in
the Top feature map"; the extents of Middle and Bottom are not printed: here the second and the third of three even
stripes. ``top="third"`` makes Top the first of them, as in earlier versions. The paper prints for a few groups only
which of the four vectors they are predicted from; :data:`ATTRIBUTE_VECTORS` completes the table. That the last head
"takes the AAM and perform ID classification" is read as X where the map is on. The attention map's groups on
DukeMTMC-reID are not printed: here six that correspond to Market-1501's. See the modules above for the clustering and
the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, cast, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from passerby.data.attributes.schema import Schema, schema_of
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.models.aanet.map import Threshold, activation_map, attention_mask, min_max
from passerby.models.aanet.parts import even_stripes, peak_parts, pool_rows
from passerby.models.backbones import create_backbone
from passerby.models.base import ReidModel, identity_classifier
from passerby.models.card import Block, ModelCard, consecutive_blocks
from passerby.models.registry import register
from passerby.types import ModelOutput

HIDDEN = 256
"""The length of V (§3.5)."""
PARTS = 6
VECTORS = ("global", "top", "middle", "bottom")
Top = Literal["half", "third"]
"""The region of the Top feature map: the upper half, or the upper third."""
ATTRIBUTE_VECTORS = {
    **dict.fromkeys(("hat", "hair length", "sleeve length", "length of upper", "upper color"), "top"),
    **dict.fromkeys(("backpack", "bag", "handbag"), "middle"),
    **dict.fromkeys(("lower color", "type of lower", "length of lower", "boots", "shoe color"), "bottom"),
    **dict.fromkeys(("gender", "age"), "global"),
}
"""The vector that each attribute is predicted from; attributes of other schemas use the global one."""
_VISIBLE_MARKET = ("gender", "hair length", "upper color", "lower color", "type of lower", "length of lower")
_VISIBLE_DUKE = ("gender", "length of upper", "upper color", "lower color", "boots", "shoe color")
VISIBLE_ATTRIBUTES = frozenset(_VISIBLE_MARKET) | frozenset(_VISIBLE_DUKE)
"""The attributes whose activation maps make the attention map: six groups of Market-1501 and six of DukeMTMC-reID."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
ATTENTION_MAP = "aam"
"""The key of the attention map in ``ModelOutput.maps``, beside the names of the groups."""


class IdentityHead(nn.Module):
    """The head of an identity task: pooled map Z → V (1×1 convolution without bias, BN, ReLU) → C identities.

    Raises:
        ShapeError: for a batch of one in training mode, where batch statistics do not exist.
    """

    def __init__(self, channels: int, num_classes: int | None) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, HIDDEN, bias=False)  # on a 1×1 map this is the 1×1 convolution
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.classifier = identity_classifier(HIDDEN, num_classes)

    def forward(self, pooled: Float[Tensor, "b z"]) -> tuple[Float[Tensor, "b v"], Float[Tensor, "b n"] | None]:
        """Return V and the scores; without a classifier these are ``None``."""
        if self.norm.training and len(pooled) == 1:
            raise ShapeError(
                "an identity head got a batch of 1 image in training mode, but its batch normalization needs 2 or "
                "more. Fix: give a larger batch, drop the last one, or call eval() first"
            )
        V = torch.relu(self.norm(self.reduce(pooled)))
        return V, self.classifier(V)


class AttributeOutput(NamedTuple):
    """The output of the attribute network."""

    vectors: Tensor
    """The averages of V over the rows of :data:`VECTORS`: ``(b, 4, v)``."""
    scores: tuple[Tensor, ...]
    """The scores of each group, ``(b, values)``."""
    maps: Tensor
    """The activation maps of each group's predicted class, in [0, 1], whatever vector predicts it: ``(b, g, h, w)``."""


class AttributeNetwork(nn.Module):
    """The attribute task: X → V (1×1 convolution without bias, BN, ReLU) → four pooled vectors → classifiers.

    Args:
        top: the region of the Top feature map: the paper's upper ``half``, or the upper ``third``.
    """

    def __init__(self, channels: int, schema: Schema, *, top: Top = "half") -> None:
        super().__init__()
        if top not in get_args(Top):
            raise UnknownNameError("region of the top feature map", top, get_args(Top))
        self.top = top
        self.reduce = nn.Conv2d(channels, HIDDEN, 1, bias=False)
        self.norm = nn.BatchNorm2d(HIDDEN)
        self.classifiers = nn.ModuleList(nn.Linear(HIDDEN, size) for size in schema.sizes)
        self.names = tuple(group.name for group in schema.groups)
        self.vector_of = tuple(VECTORS.index(ATTRIBUTE_VECTORS.get(group.name, "global")) for group in schema.groups)

    def forward(self, X: Float[Tensor, "b z h w"]) -> AttributeOutput:
        V = torch.relu(self.norm(self.reduce(X)))
        rows = self.rows(V.shape[2], device=V.device)
        vectors = pool_rows(V, rows.expand(V.shape[0], -1, -1))
        scores = tuple(head(vectors[:, i]) for head, i in zip(self.classifiers, self.vector_of, strict=True))
        heads = zip(self.classifiers, scores, strict=True)
        maps = [min_max(activation_map(V, cast(Tensor, head.weight), each)) for head, each in heads]
        return AttributeOutput(vectors, scores, torch.stack(maps, dim=1))

    def rows(self, height: int, *, device: torch.device | None = None) -> Bool[Tensor, "4 h"]:
        """Return the rows that each of :data:`VECTORS` averages, of a map so high."""
        whole, halves, thirds = (even_stripes(height, parts, device=device) for parts in (1, 2, 3))
        return torch.cat([whole, halves[:1] if self.top == "half" else thirds[:1], thirds[1:]])


@register
class AANet(ReidModel):
    """The model AANet and every row of its ablation.

    ``logits`` are the scores of the global head; ``branches`` hold those of the ``parts`` (six) and of the
    ``attention`` map (one); ``attributes`` one tensor per group; ``maps`` the activation map of each group's predicted
    class, and the attention map, named ``aam``.

    Args:
        last_stride: stride of the backbone's last downsampling; 2 is the paper's (a map of 12×4 at 384×128).
        schema: the attributes to learn: ``market1501``, ``dukemtmc``, or your own schema.
        parts: six heads on six parts (L_p).
        attributes: the attribute network (L_a).
        attention_map: the head on the attribute attention map (L_aa), which needs ``attributes``.
        attention_groups: the groups whose activation maps make that map; ``None``: those of :data:`VISIBLE_ATTRIBUTES`.
        threshold: threshold of the attention map, ``otsu`` or ``mean``; ``none``: a soft map, without a threshold.
        top: the rows of the Top feature map: the upper ``half``, which is the paper's, or the upper ``third``.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="aanet",
        paper="AANet (Tay et al., CVPR 2019)",
        input_size=(384, 128),
        embedding_size=3072,
        parameters=29_785_311,
        normalize=False,
    )
    identities: ClassVar[str] = "head.classifier.weight"

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        backbone: str = "resnet50",
        last_stride: int = 2,
        schema: str | Schema = "market1501",
        parts: bool = True,
        attributes: bool = True,
        attention_map: bool = True,
        attention_groups: Sequence[str] | None = None,
        threshold: Threshold = "otsu",
        top: Top = "half",
    ) -> None:
        super().__init__()
        if attention_map and not attributes:
            raise ConfigError("attention_map=True needs attributes=True: the map is made from those of the attributes")
        if threshold not in get_args(Threshold):
            raise UnknownNameError("threshold", threshold, get_args(Threshold))
        learned = schema_of(schema) if isinstance(schema, str) else schema
        self.schema = learned if attributes else None
        self.threshold: Threshold = threshold
        self.backbone = create_backbone(backbone, last_stride=last_stride)
        channels = self.backbone.channels
        self.head = IdentityHead(channels, num_classes)
        self.parts = nn.ModuleList(IdentityHead(channels, num_classes) for _ in range(PARTS if parts else 0))
        self.attributes = AttributeNetwork(channels, learned, top=top) if attributes else None
        self.attention = IdentityHead(channels, num_classes) if attention_map else None
        self.attended = _group_indices(learned, attention_groups) if attention_map else []
        vectors = 1 + len(self.parts) + len(VECTORS) * attributes + attention_map
        self.embedding_size = HIDDEN * vectors

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput:
        X = self.backbone(images)  # (b, z, h, w)
        V, logits = self.head(X.mean(dim=(2, 3)))
        hidden = [V]
        branches: dict[str, tuple[Tensor, ...]] = {}
        maps: dict[str, Tensor] = {}
        if self.parts:
            V_parts, scores = self._parts(X)
            hidden += V_parts
            branches |= {"parts": scores} if scores else {}
        attributes: AttributeOutput | None = None
        if self.attributes is not None:
            attributes = self.attributes(X)
            hidden += attributes.vectors.unbind(dim=1)
            maps |= dict(zip(self.attributes.names, attributes.maps.unbind(dim=1), strict=True))
        if self.attention is not None and attributes is not None:
            mask = attention_mask(attributes.maps[:, self.attended], self.threshold)  # (b, h, w)
            V, attended = self.attention((mask[:, None] * X).mean(dim=(2, 3)))
            hidden.append(V)
            branches |= {} if attended is None else {"attention": (attended,)}
            maps[ATTENTION_MAP] = mask
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
        """Return the hidden vectors V of the tasks; parts are counted from the head down."""
        ordinals = _ORDINALS[: len(self.parts)]
        named = [("whole body", "")]
        named += [(f"part {i}", f"the {ordinal} of {PARTS} parts") for i, ordinal in enumerate(ordinals, start=1)]
        if self.attributes is not None:
            named += [(f"attributes, {vector}", "") for vector in VECTORS]
        if self.attention is not None:
            named.append(("attention map", ""))
        return consecutive_blocks((name, HIDDEN, region) for name, region in named)

    def branches_of_embedding(self) -> dict[str, slice]:
        """Return the columns of each task."""
        numbers = {
            "global": 1,
            "parts": len(self.parts),
            "attributes": len(VECTORS) * (self.attributes is not None),
            "attention": int(self.attention is not None),
        }
        tasks = [(name, HIDDEN * number, "") for name, number in numbers.items() if number]
        return {name: columns for name, columns, _ in consecutive_blocks(tasks)} if len(tasks) > 1 else {}

    def _parts(self, X: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return V and scores of the six parts; no scores without classifiers."""
        pooled = pool_rows(X, peak_parts(X, PARTS)).unbind(dim=1)  # six times (b, z)
        V, scores = zip(*(head(part) for head, part in zip(self.parts, pooled, strict=True)), strict=True)
        return V, tuple(each for each in scores if each is not None)


def _group_indices(schema: Schema, names: Sequence[str] | None) -> list[int]:
    """Return the indices of the groups that make the attention map."""
    chosen = [group.name for group in schema.groups if group.name in VISIBLE_ATTRIBUTES] if names is None else names
    if not chosen:
        raise ConfigError(
            f"none of the attributes of {schema.name} is known to be visible in every image. Fix: name those that make "
            "the attention map as attention_groups, or set attention_map=False"
        )
    return [schema.index(name) for name in chosen]
