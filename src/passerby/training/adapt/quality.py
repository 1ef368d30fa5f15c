"""The label-free quality of embeddings: how often two cameras agree about which of their images belong together.

For an image and another camera, the nearest image there should be of the same person; then the nearest image back in
the first camera is likely the image itself. The quality is the share of images and other cameras where it is. It
compares similarities with each other only, so it has no scale and compares networks. Where cameras are unknown, it is
the share of an image's :data:`NEIGHBORS` nearest that each of them has among its own, too.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from passerby.retrieval.distance.compare import BLOCK_BYTES, CELL_BYTES, row_blocks

NEIGHBORS = 10
"""The number of nearest images that are compared where cameras are unknown."""


def measure_quality(
    embedding: Float[Tensor, "n d"], cameras: Int[Tensor, " n"] | None, *, block_bytes: int = BLOCK_BYTES
) -> float:
    """Return the share of mutual nearest images, or of shared neighbors, in [0, 1]; larger is better.

    Args:
        cameras: the index of each image's camera; ``None``, or all of one camera: unknown.
        block_bytes: about the memory that a block of similarities may take.
    """
    rows = F.normalize(embedding, dim=1)
    if cameras is None or int(cameras.max()) == 0:
        return _shared_neighbors(rows, min(NEIGHBORS, len(rows) - 1), block_bytes)
    return _mutual_across(rows, cameras, block_bytes)


def _mutual_across(rows: Tensor, cameras: Tensor, block_bytes: int) -> float:
    order = cameras.argsort(stable=True)
    rows, cameras = rows[order], cameras[order]
    n, own = len(rows), torch.arange(len(rows))
    sizes = torch.bincount(cameras).tolist()
    near = torch.empty(n, len(sizes), dtype=torch.long)  # the nearest image in each camera
    for block in row_blocks(n, CELL_BYTES * n, block_bytes):
        alike, first = (rows[block] @ rows.T).split(sizes, dim=1), 0
        for camera, part in enumerate(alike):
            near[block, camera] = first + part.argmax(dim=1)
            first += part.shape[1]
    back = near[near, cameras[:, None]]  # of the nearest image there, the nearest in the image's own camera
    other = torch.arange(len(sizes)) != cameras[:, None]
    return float((back == own[:, None])[other].double().mean())


def _shared_neighbors(rows: Tensor, k: int, block_bytes: int) -> float:
    n = len(rows)
    near = torch.empty(n, k, dtype=torch.long)
    for block in row_blocks(n, CELL_BYTES * n, block_bytes):
        alike = rows[block] @ rows.T
        alike[torch.arange(len(block)), block] = -torch.inf
        near[block] = alike.topk(k, dim=1).indices
    shared = 0
    for block in row_blocks(n, k**3, block_bytes):
        theirs = near[near[block]]  # (b, k, k)
        shared += int((theirs[..., None] == near[block][:, None, None]).any(dim=3).sum())
    return shared / (n * k * k)
