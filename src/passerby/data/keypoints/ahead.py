"""Crop batches ahead: threads crop the next batch while the caller works on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.data.keypoints.crops import Cut, PartCutter


def cut_ahead(
    cutter: PartCutter, batches: Iterable[tuple[Tensor, NDArray[np.float32]]], *, threads: int
) -> Iterator[Cut]:
    """Yield the crops of batches, in order, the same for any number of threads.

    Args:
        batches: images ``(b, 3, H, W)`` and their rectangles ``(b, 5, 4)``; one more than was asked for is taken.
        threads: the number of threads, which share the images of a batch.
    """
    with ThreadPoolExecutor(threads) as pool:
        ready: list[Future[Cut]] = []
        for images, regions in batches:
            following = _submit(pool, cutter, images, regions, threads)
            if ready:
                yield _joined(ready)
            ready = following
        if ready:
            yield _joined(ready)


def _submit(
    pool: ThreadPoolExecutor, cutter: PartCutter, images: Tensor, regions: NDArray[np.float32], threads: int
) -> list[Future[Cut]]:
    size = -(-len(images) // threads)
    starts = range(0, len(images), size)
    return [pool.submit(cutter.cut, images[i : i + size], regions[i : i + size]) for i in starts]


def _joined(pieces: list[Future[Cut]]) -> Cut:
    whole, parts = zip(*(piece.result() for piece in pieces), strict=True)
    return Cut(whole[0], parts[0]) if len(pieces) == 1 else Cut(torch.cat(whole), torch.cat(parts))
