"""What every model is, and what it says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from passerby.data.attributes import Schema
from passerby.types import ModelOutput


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

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
