"""The batches of a round: P clusters × K images each, of different cameras where these are known."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from passerby.data.sampler import BatchSampler


class ClusterSampler(BatchSampler):
    """A sampler of ``steps`` lists of row numbers: ``p`` different clusters, or all if there are fewer, × ``k`` images.

    Clusters come in random order, each once before any comes again. Their ``k`` images are of as many cameras as the
    cluster has; clusters of fewer images repeat some.

    Args:
        labels: the cluster of each row; rows of a negative one are never drawn.
        cameras: the camera of each row; ``None``: unknown.
        steps: the number of batches.
        seed: the random seed.
    """

    def __init__(
        self, labels: Int[Tensor, " n"], cameras: Int[Tensor, " n"] | None, *, p: int, k: int, steps: int, seed: int
    ) -> None:
        super().__init__(seed=seed)
        count = int(labels.max()) + 1 if len(labels) else 0
        self._rows = [torch.nonzero(labels == label).squeeze(1) for label in range(count)]
        self._cameras = cameras
        self.p, self.k, self.number = min(p, count), k, steps

    def steps(self) -> int:
        """Return the number of batches."""
        return self.number

    def batches(self) -> Iterator[list[int]]:
        """Yield this round's batches."""
        generator = self.generator()
        waiting: list[int] = []
        for _ in range(self.number):
            if len(waiting) < self.p:
                again = torch.randperm(len(self._rows), generator=generator).tolist()
                waiting += [label for label in again if label not in waiting[: self.p]]
            chosen, waiting = waiting[: self.p], waiting[self.p :]
            yield [row for label in chosen for row in self._draw(self._rows[label], generator)]

    def _draw(self, rows: Tensor, generator: Generator) -> list[int]:
        """Return ``k`` rows of one cluster, in random order by turns of its cameras."""
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        if self._cameras is not None:
            shuffled = shuffled[_turn(self._cameras[shuffled]).argsort(stable=True)]
        repeated = shuffled.repeat(-(-self.k // len(shuffled)))
        return repeated[: self.k].tolist()


def _turn(cameras: Tensor) -> Tensor:
    """Return how many of the rows before each have its camera."""
    order = cameras.argsort(stable=True)
    counts = torch.bincount(cameras)
    place = torch.arange(len(cameras)) - (counts.cumsum(0) - counts)[cameras[order]]
    return torch.empty_like(order).scatter_(0, order, place)
