"""The interface of every model: images in, :class:`~passerby.types.ModelOutput` out."""

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
"""The key of maps of the whole image; others are of a part (:data:`passerby.data.keypoints.regions.PARTS`)."""


MapLayers = dict[str, dict[str, nn.Module]]
"""The modules whose output is a map ``(b, c, h, w)``, or starts with one: by layer, then by what the map shows."""


class ReidModel(nn.Module, ABC):
    """A model that returns the same :class:`ModelOutput` in training and evaluation."""

    card: ClassVar[ModelCard]
    embedding_size: int
    backbone_prefix: ClassVar[str | None] = "backbone"
    """The attribute that holds the backbone; ``None`` where the whole model is one."""
    identities: ClassVar[str] = "classifier.weight"
    """The key, in the model's state, of a matrix with one row per identity."""
    heads: ClassVar[tuple[str, ...]] = ("classifier.",)
    """The prefixes of state keys that initial weights do not cover."""
    added: ClassVar[tuple[str, ...]] = ("attention",)
    """The names of modules that a checkpoint may lack where the model is its own backbone, as for ``Backbone``."""
    schema: Schema | None = None
    """The schema of the predicted attributes; ``None`` where the model predicts none."""

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> ModelOutput: ...

    def map_layers(self) -> MapLayers:
        """Return the layers whose maps figures may show, from the finest to the last, which the embedding pools.

        Raises:
            ConfigError: if the model does not define them.
        """
        backbone = getattr(self, self.backbone_prefix, None) if self.backbone_prefix else None
        if not isinstance(backbone, nn.Module):
            raise ConfigError(f"{self.card.name} does not tell which layers are maps. Fix: define its map_layers()")
        stages: dict[str, nn.Module] = getattr(backbone, "stages", {"backbone": backbone})
        return {name: {WHOLE: stage} for name, stage in stages.items()}

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks that the embedding consists of, in order and without gaps; none if it has no such parts."""
        return ()

    def branches_of_embedding(self) -> dict[str, slice]:
        """Return the columns of each branch that an evaluation may compare alone; none if the model has no branches."""
        return {}

    def read_branch(self, embedding: Float[Tensor, "b _"], name: str) -> Float[Tensor, "b _"]:
        """Return the embeddings of one branch, as those of a model of that branch alone would be compared.

        Args:
            embedding: whole embeddings.
            name: one of :meth:`branches_of_embedding`.
        """
        return embedding[:, self.branches_of_embedding()[name]]

    def parameter_count(self) -> int:
        """Return the number of parameters."""
        return sum(p.numel() for p in self.parameters())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Load also a state that an earlier version wrote: accelerate reads the checkpoints of a resumed run itself."""
        own = {key[len(prefix) :]: state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
        state_dict.update(
            {prefix + key: tensor for key, tensor in current_state(own, self.state_dict().keys()).items()}
        )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class NoClassifier(nn.Module):
    """The classifier of an embedding-only model: it has no parameters, returns no scores, and ignores stored ones."""

    def forward(self, features: Float[Tensor, "b d"]) -> None:  # noqa: ARG002 - the interface of nn.Linear
        return None

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Ignore the weights of the classifier that a full model has at this place."""


def identity_classifier(features: int, num_classes: int | None, *, bias: bool = True) -> nn.Module:
    """Return a linear layer with one score per identity; :class:`NoClassifier` if ``num_classes`` is ``None``."""
    return NoClassifier() if num_classes is None else nn.Linear(features, num_classes, bias=bias)
