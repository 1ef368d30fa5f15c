"""What every model is, and what it says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from passerby.data.attributes.schema import Schema
from passerby.errors import ConfigError
from passerby.types import ModelOutput

WHOLE = "whole"
"""What a map is of, where it is of the whole picture; else it is of a part (:data:`passerby.data.keypoints.regions.PARTS`)."""
MapLayers = dict[str, dict[str, nn.Module]]
"""Modules whose output is a map ``(b, c, h, w)``, or starts with one: by layer, then by what the map is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The facts a table of models prints and a predictor needs."""

    name: str
    paper: str
    input_size: tuple[int, int]
    """(height, width) the paper uses."""
    inputs: tuple[str, ...] = ("images",)
    """What ``forward`` needs beside images (part crops, say)."""
    distances: tuple[str, ...] = ("global",)
    """The test distances its output allows; the first is the paper's."""
    normalise: bool = True
    """Whether the paper compares embeddings of length 1; else they are compared as they are."""


class Block(NamedTuple):
    """Columns of an embedding that describe one thing."""

    name: str
    columns: slice
    region: str = ""
    """The part of the body that they describe, as in "alike in the head"; empty where that is the whole body."""


def in_a_row(blocks: Iterable[tuple[str, int, str]]) -> tuple[Block, ...]:
    """Blocks of so many columns (name, size, region), one after another."""
    found: list[Block] = []
    for name, size, region in blocks:
        start = found[-1].columns.stop if found else 0
        found.append(Block(name, slice(start, start + size), region))
    return tuple(found)


class ReidModel(nn.Module, ABC):
    """Images in, :class:`ModelOutput` out, the same in training and evaluation."""

    card: ClassVar[ModelCard]
    embedding_size: int
    trunk_prefix: ClassVar[str | None] = "trunk"
    """Attribute that holds the trunk; ``None`` where the model is its own."""
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
        trunk = getattr(self, self.trunk_prefix, None) if self.trunk_prefix else None
        if not isinstance(trunk, nn.Module):
            raise ConfigError(f"{self.card.name} does not say where its maps are: define map_layers() to see them")
        stages: dict[str, nn.Module] = getattr(trunk, "stages", {"trunk": trunk})
        return {name: {WHOLE: stage} for name, stage in stages.items()}

    def blocks(self) -> tuple[Block, ...]:
        """What the embedding is joined of, in order and without gaps; nothing where its columns mean nothing apart."""
        return ()

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
