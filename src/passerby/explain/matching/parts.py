"""The distances between the parts of two images: their stripes, or the blocks of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from passerby.data.keypoints.regions import PARTS
from passerby.inference.model import Model
from passerby.models.card import Block
from passerby.retrieval.distance.dmli import stripe_distances
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import Embeddings


class PartDistance(NamedTuple):
    """The distance between the same part of two images."""

    name: str
    distance: float
    """The distance: tanh(d/2) of stripes, d² of blocks; those of all blocks add up to the global distance."""
    dissimilarity: float
    """The relative distance ‖a − b‖² ÷ (‖a‖² + ‖b‖²), comparable between parts of any size.

    0: equal; 1: orthogonal; 2: opposite.
    """
    region: str = ""
    """The region of the body, as text; empty for the whole body."""

    def to_dict(self) -> dict[str, str | float]:
        """Return plain values for JSON, under the key names that files have had from the start."""
        return {
            "name": self.name,
            "distance": self.distance,
            "unlikeness": self.dissimilarity,
            "region": self.region,
        }


def compare_stripes(x: Embeddings, y: Embeddings) -> tuple[PartDistance, ...]:
    """Compare the stripes at the same height, of the first image of each side; empty for models without stripes."""
    if x.local is None or y.local is None:
        return ()
    costs = stripe_distances(x.local, y.local)[0, 0].diagonal().tolist()
    relative = [_dissimilarity(*pair) for pair in zip(x.local[0], y.local[0], strict=True)]
    both = enumerate(zip(costs, relative, strict=True), start=1)
    return tuple(PartDistance(f"stripe {i}", cost, apart, f"stripe {i} of {len(costs)}") for i, (cost, apart) in both)


def named_blocks(model: Model) -> tuple[Block, ...]:
    """Return the blocks of the model's embedding; fixed strips are not named after parts of the body."""
    blocks = model.network.blocks()
    if "parts" not in model.card.inputs or model.parts.get("by", "pose") == "pose":
        return blocks
    return tuple(_strip(block) for block in blocks)


def _strip(block: Block) -> Block:
    place = part_index(block)
    return block if place is None else Block(words := f"strip {place + 1} of {len(PARTS)}", block.columns, words)


def part_index(block: Block) -> int | None:
    """Return the index of the part that is the input of a block."""
    name = block.name.replace(" ", "_")
    return PARTS.index(name) if name in PARTS else None


def compare_blocks(
    blocks: Sequence[Block], x: Embeddings, y: Embeddings, *, normalize: bool
) -> tuple[PartDistance, ...]:
    """Compare the embeddings of the first image of each side, block by block."""
    p, q = ((l2_normalize(e.embedding) if normalize else e.embedding)[0].double() for e in (x, y))
    found = []
    for block in blocks:
        v, w = p[block.columns], q[block.columns]
        found.append(PartDistance(block.name, (v - w).square().sum().item(), _dissimilarity(v, w), block.region))
    return tuple(found)


def _dissimilarity(v: Float[Tensor, " c"], w: Float[Tensor, " c"]) -> float:
    both = v.square().sum() + w.square().sum()
    return ((v - w).square().sum() / both).item() if both > 0 else 0.0
