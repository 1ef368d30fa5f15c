"""The k-reciprocal Jaccard distances among all images of one set, as far as they are small: what clustering needs.

They are those of re-ranking (:mod:`passerby.retrieval.rerank`, Eq 10) with every image on both sides. Of the N × N
distances only those up to a radius are kept, which are a few per image; the others are computed in blocks and dropped.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import BLOCK_BYTES, CELL_BYTES, compare_vectors, row_blocks
from passerby.retrieval.rerank import KReciprocal, Progress, encode
from passerby.retrieval.sparse_rows import SparseRows, concatenate, from_table, transpose
from passerby.types import Rerank


def jaccard_within(
    embedding: Float[Tensor, "n d"],
    *,
    k1: int = 30,
    k2: int = 6,
    radius: float = 1.0,
    normalize: bool = True,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> SparseRows:
    """Return each image's neighbors within ``radius``, itself among them, with their Jaccard distances in [0, 1].

    Distances of exactly 1, of images that share no neighbor, are never kept: they are most of all pairs.

    Args:
        k1: the number of neighbors that an encoding is computed from.
        k2: the number of neighbors over which encodings are averaged; 1 means no averaging.
        normalize: L2-normalize embeddings first.
        block_bytes: about the memory that a block of distances may take.
        progress: called with the number of rows encoded since the last call.

    Raises:
        ProtocolError: if an argument is out of its range, or embeddings are zero or not finite.
    """
    if k1 < 1 or k2 < 1:
        raise ProtocolError(f"k1 and k2 must be at least 1, got {k1} and {k2}")
    if not 0 <= radius <= 1:
        raise ProtocolError(f"radius, the largest Jaccard distance to keep, must be from 0 to 1, got {radius}")
    options, n = Rerank(k1, k2), len(embedding)
    among, encodings, farthest = encode(
        compare_vectors(embedding, embedding, normalize=normalize), options, block_bytes=block_bytes, progress=progress
    )
    whole = KReciprocal(among, 0, farthest, encodings, transpose(encodings, n), options, block_bytes)
    blocks = row_blocks(n, 2 * CELL_BYTES * n, block_bytes, embedding.device)
    return concatenate([_within(whole.jaccard(rows), radius) for rows in blocks])


def _within(distances: Float[Tensor, "b n"], radius: float) -> SparseRows:
    kept = (distances <= radius) & (distances < 1)
    columns = torch.arange(distances.shape[1], device=distances.device).expand_as(distances)
    return from_table(columns, kept, distances[kept].clamp_min(0))
