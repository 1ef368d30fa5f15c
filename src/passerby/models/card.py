"""The facts that every model states about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

CARD_CLASSES = 751
"""The number of identities that ``ModelCard.parameters`` counts a classifier of: Market-1501's training people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The facts that a table of models prints and that inference needs."""

    name: str
    paper: str
    input_size: tuple[int, int]
    """The image size of the paper, as (height, width)."""
    embedding_size: int | None = None
    """The length of the embedding with default options; ``None``: built to find out."""
    parameters: int | None = None
    """The number of parameters with default options and :data:`CARD_CLASSES` identities; ``None``: as above."""
    inputs: tuple[str, ...] = ("images",)
    """The inputs of ``forward``: images, and part crops where the model needs them."""
    distances: tuple[str, ...] = ("global",)
    """The test distances that the output allows; the first is the paper's."""
    normalize: bool = True
    """A flag: embeddings are L2-normalized before they are compared."""


class Block(NamedTuple):
    """A run of columns of an embedding that describes one thing."""

    name: str
    columns: slice
    region: str = ""
    """The part of the body that the columns describe, as in "alike in the head"; empty for the whole body."""


def consecutive_blocks(blocks: Iterable[tuple[str, int, str]]) -> tuple[Block, ...]:
    """Return blocks, given as (name, number of columns, region), one after another."""
    found: list[Block] = []
    for name, size, region in blocks:
        start = found[-1].columns.stop if found else 0
        found.append(Block(name, slice(start, start + size), region))
    return tuple(found)
