"""Query expansion and database-side augmentation: embeddings are averaged with their neighbors before ranking.

Alpha query expansion (Radenović, Tolias, Chum, TPAMI 2019, §3.6): a query becomes the sum of itself and its
k nearest gallery rows, each weighted by max(0, cosine)^α: :func:`expand_queries`; α = 0 is the plain average
query expansion of Chum et al. (ICCV 2007). Database-side augmentation (Arandjelović and Zisserman, CVPR 2012)
does the same to every gallery row among the gallery: :func:`augment_gallery`. Both compute distances in
blocks and keep none of them.

Where a person has judged hits, their answers take the place of the nearest rows (:func:`move_queries`): the average
query expansion of the confirmed ones, less a share of the mean of the rejected ones, as Rocchio's formula has it
(Rocchio, 1971; Manning, Raghavan, Schütze, *Introduction to Information Retrieval*, 2008, Eq 9.3, β = 1 here).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import BLOCK_BYTES, compare_vectors, comparison_blocks, nearest
from passerby.retrieval.distance.euclidean import l2_normalize


def expand_queries(
    query: Float[Tensor, "q d"],
    gallery: Float[Tensor, "g e"],
    k: int = 5,
    alpha: float = 3.0,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> Float[Tensor, "q d"]:
    """Return each query averaged with its ``k`` nearest gallery rows, L2-normalized.

    Raises:
        ProtocolError: if ``k`` is not between 1 and the gallery's length, ``alpha`` is below 0, or a row is zero or
            not finite.
        ShapeError: if the two sides differ in dimensions or dtype.
    """
    _check_arguments(k, alpha, len(gallery))
    q, g = l2_normalize(query.detach()), l2_normalize(gallery.detach())
    comparison = compare_vectors(q, g)
    blocks = comparison_blocks(comparison, block_bytes)
    return torch.cat([_average(q[rows], g, nearest(comparison.block(rows), k)[1], alpha) for rows in blocks])


def augment_gallery(
    gallery: Float[Tensor, "g d"], k: int = 5, alpha: float = 3.0, *, block_bytes: int = BLOCK_BYTES
) -> Float[Tensor, "g d"]:
    """Return each gallery row averaged with its ``k`` nearest others, L2-normalized.

    Raises:
        ProtocolError: as :func:`expand_queries`, but ``k`` is below the gallery's length: a row is not its own
            neighbor.
    """
    _check_arguments(k, alpha, len(gallery) - 1)
    g = l2_normalize(gallery.detach())
    comparison = compare_vectors(g, g)
    averaged = []
    for rows in comparison_blocks(comparison, block_bytes):
        distances = comparison.block(rows)
        distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf
        averaged.append(_average(g[rows], g, nearest(distances, k)[1], alpha))
    return torch.cat(averaged)


def move_queries(
    query: Float[Tensor, "q d"],
    near: Float[Tensor, "p d"],
    far: Float[Tensor, "n d"],
    gamma: float = 0.15,
    *,
    normalize: bool = True,
) -> Float[Tensor, "q d"]:
    """Return queries moved by confirmed and rejected rows: (x + Σ near) / (1 + p) − γ · mean(far).

    ‖x − y‖² then holds 2 γ · mean(far)·y: rows near rejected ones are farther.

    Args:
        near: the confirmed rows; there may be none.
        far: the rejected rows; there may be none.
        gamma: the weight γ of the rejected rows; † 0.15 is the book's.
        normalize: L2-normalize all rows first, and the result.

    Raises:
        ProtocolError: if a row, or a moved query, is zero or not finite and is to be normalized.
    """
    x, p, n = (l2_normalize(each) if normalize and len(each) else each for each in (query, near, far))
    moved = (x + p.sum(0)) / (1 + len(p))
    if len(n):
        moved = moved - gamma * n.mean(0)
    return l2_normalize(moved) if normalize else moved


def _average(
    rows: Float[Tensor, "b d"], gallery: Float[Tensor, "g d"], near: Int[Tensor, "b k"], alpha: float
) -> Float[Tensor, "b d"]:
    neighbors = gallery[near]
    cosine = torch.einsum("bd,bkd->bk", rows, neighbors)
    return l2_normalize(rows + torch.einsum("bk,bkd->bd", cosine.clamp_min(0) ** alpha, neighbors))


def _check_arguments(k: int, alpha: float, available: int) -> None:
    if not 1 <= k <= available:
        raise ProtocolError(f"k must be between 1 and {available}, the number of neighbors available, got {k}")
    if not alpha >= 0:
        raise ProtocolError(f"alpha, the power of the cosine, must be at least 0, got {alpha}")
