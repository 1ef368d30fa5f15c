"""The label-free quality of embeddings: how many neighbors the nearest images of different cameras share.

For an image and another camera, the nearest image there should be of the same person, and two images of one person
have the same images around them, in all cameras. The quality is the share of the :data:`NEIGHBORS` nearest (and of the
image itself) that both count among theirs, averaged over all images and other cameras. Where cameras are unknown, an
image is paired with each of its neighbors instead. Similarities are only compared with each other, so the quality has
no scale and compares networks; it is 1 where people are told apart without doubt.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from passerby.retrieval.distance.compare import BLOCK_BYTES, CELL_BYTES, row_blocks

NEIGHBORS = 10
"""The number of nearest images that are compared."""


def measure_quality(
    embedding: Float[Tensor, "n d"], cameras: Int[Tensor, " n"] | None, *, block_bytes: int = BLOCK_BYTES
) -> float:
    """Return the mean share of common neighbors in [0, 1]; larger is better.

    Args:
        cameras: the index of each image's camera; ``None``, or all of one camera: unknown.
        block_bytes: about the memory that a block of similarities may take.
    """
    rows = F.normalize(embedding, dim=1)
    if cameras is None or int(cameras.max()) == 0:
        near = _nearest(rows, [len(rows)], block_bytes)[0]
        return _shared(near, near[:, 1:], torch.ones_like(near[:, 1:], dtype=torch.bool), block_bytes)
    order = cameras.argsort(stable=True)
    near, partners = _nearest(rows[order], torch.bincount(cameras).tolist(), block_bytes)
    other = torch.arange(partners.shape[1]) != cameras[order][:, None]
    return _shared(near, partners, other, block_bytes)


def _nearest(
    rows: Float[Tensor, "n d"], sizes: list[int], block_bytes: int
) -> tuple[Int[Tensor, "n k"], Int[Tensor, "n c"]]:
    """Return each image with its nearest ones, and its nearest in each camera.

    Args:
        sizes: the number of images of each camera, whose images follow each other.
    """
    n = len(rows)
    near = torch.empty(n, min(NEIGHBORS + 1, n), dtype=torch.long)
    partners = torch.empty(n, len(sizes), dtype=torch.long)
    for block in row_blocks(n, CELL_BYTES * n, block_bytes):
        alike = rows[block] @ rows.T
        alike[torch.arange(len(block)), block] = torch.inf  # an image is its own nearest, also beside its copies
        near[block] = alike.topk(near.shape[1], dim=1).indices
        first = 0
        for camera, part in enumerate(alike.split(sizes, dim=1)):
            partners[block, camera] = first + part.argmax(dim=1)
            first += part.shape[1]
    return near, partners


def _shared(
    near: Int[Tensor, "n k"], partners: Int[Tensor, "n p"], counted: Bool[Tensor, "n p"], block_bytes: int
) -> float:
    """Return the mean share of ``near`` that an image and its partner have in common, over the pairs that count."""
    k, found = near.shape[1], []
    for block in row_blocks(len(near), k * k * partners.shape[1], block_bytes):
        theirs = near[partners[block]]  # (b, p, k)
        common = (theirs[..., None] == near[block][:, None, None]).any(dim=3).sum(dim=2)
        found.append(common[counted[block]])
    return float(torch.cat(found).double().mean()) / k
