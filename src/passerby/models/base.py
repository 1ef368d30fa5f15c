"""TODO docstring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from passerby.compat import current_state
from passerby.data.attributes.schema import Schema
from passerby.errors import ConfigError
from passerby.models.card import Block, ModelCard
from passerby.types import ModelOutput

WHOLE = "whole"
"""What a map is of, where it is of the whole picture; else it is of a part (:data:`passerby.data.keypoints.regions.PARTS`)."""


MapLayers = dict[str, dict[str, nn.Module]]
"""Modules whose output is a map ``(b, c, h, w)``, or starts with one: by layer, then by what the map is of."""


class ReidModel(nn.Module, ABC):
    """Images in, :class:`ModelOutput` out, the same in training and evaluation."""

    card: ClassVar[ModelCard]
    embedding_size: int
    backbone_prefix: ClassVar[str | None] = "backbone"
    """Attribute that holds the backbone; ``None`` where the model is its own."""
    identities: ClassVar[str] = "classifier.weight"
    """Key, in the model's state, of a matrix with one row an identity."""
    heads: ClassVar[tuple[str, ...]] = ("classifier.",)
    """Prefixes of keys that initial weights say nothing about."""
    schema: Schema | None = None
    """Of the attributes that it predicts; ``None`` where it predicts none."""

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput: ...

    def map_layers(self) -> MapLayers:
        """Where the model's maps are, for figures: from the finest layer to the last, which the embedding pools.

        Raises:
            ConfigError: if the model does not say.
        """
        backbone = getattr(self, self.backbone_prefix, None) if self.backbone_prefix else None
        if not isinstance(backbone, nn.Module):
            raise ConfigError(f"{self.card.name} does not say where its maps are: define map_layers() to see them")
        stages: dict[str, nn.Module] = getattr(backbone, "stages", {"backbone": backbone})
        return {name: {WHOLE: stage} for name, stage in stages.items()}

    def blocks(self) -> tuple[Block, ...]:
        """What the embedding is joined of, in order and without gaps; nothing where its columns mean nothing apart."""
        return ()

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Load a state that an earlier version wrote, too: accelerate reads the checkpoints of a resumed run itself."""
        own = {key[len(prefix) :]: state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
        state_dict.update({prefix + key: tensor for key, tensor in current_state(own).items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
