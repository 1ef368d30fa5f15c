"""What every model is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


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
    normalize: bool = True
    """Whether the paper compares embeddings of length 1; else they are compared as they are."""


class Block(NamedTuple):
    """Columns of an embedding that describe one thing."""

    name: str
    columns: slice
    region: str = ""
    """The part of the body that they describe, as in "alike in the head"; empty where that is the whole body."""


def consecutive_blocks(blocks: Iterable[tuple[str, int, str]]) -> tuple[Block, ...]:
    """Blocks of so many columns (name, size, region), one after another."""
    found: list[Block] = []
    for name, size, region in blocks:
        start = found[-1].columns.stop if found else 0
        found.append(Block(name, slice(start, start + size), region))
    return tuple(found)
