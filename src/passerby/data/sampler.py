"""Sample P people × K images: the batches that batch-hard triplets need (Hermans et al., 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Literal

import torch
from torch import Generator, Tensor

from passerby.errors import ConfigError


class PKSampler:
    """A sampler of lists of exactly ``p × k`` row numbers: ``p`` different people with ``k`` images each.

    Every person occurs in every epoch. A person with fewer than ``k`` images repeats some. The batches are a function
    of ``(seed, epoch)`` alone; with several processes each makes the same list and takes every ``world``-th batch, so
    that all take equally many steps.

    ``epoch_of="images"``: a person occurs once for each ``k`` of their images, so that an epoch has about n ÷ (p·k)
    steps. ``"identities"``: each person occurs once, as in AlignedReID++'s own code, except that its incomplete last
    batch is filled up here instead of left out.

    Args:
        labels: the class index of every row.
        p: the number of people per batch.
        k: the number of images per person.
        seed: the random seed.
        epoch_of: what an epoch visits, see above.
        rank: the index of this process.
        world: the number of processes.

    Raises:
        ConfigError: if there are fewer than ``p`` people.
    """

    def __init__(
        self,
        labels: Sequence[int],
        *,
        p: int,
        k: int,
        seed: int,
        epoch_of: Literal["images", "identities"] = "images",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        ids = torch.as_tensor(labels)
        self._rows = [torch.nonzero(ids == i).squeeze(1) for i in ids.unique()]
        if len(self._rows) < p:
            raise ConfigError(
                f"a batch needs {p} different people, the training split has {len(self._rows)}; "
                "lower sampler.p or add people"
            )
        self.p, self.k, self.seed, self.epoch_of = p, k, seed, epoch_of
        self.rank, self.world = rank, world
        self.epoch = 0

    def _visits(self) -> Tensor:
        """Return how often each person occurs in an epoch."""
        if self.epoch_of == "identities":
            return torch.ones(len(self._rows))
        return torch.tensor([max(1, len(r) // self.k) for r in self._rows], dtype=torch.float)

    def __len__(self) -> int:
        return math.ceil(math.ceil(self._visits().sum().item() / self.p) / self.world)

    def _draw(self, rows: Tensor, generator: Generator) -> list[Tensor]:
        """Return one person's rows, shuffled and split into groups of k (a short one is filled with repeats)."""
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        if len(rows) < self.k:
            more = torch.randint(len(rows), (self.k - len(rows),), generator=generator)
            shuffled = torch.cat([shuffled, rows[more]])
        return list(shuffled[: len(shuffled) // self.k * self.k].split(self.k))

    def _choose(self, left: Tensor, generator: Generator) -> Tensor:
        """Choose ``p`` different people; more visits left make one likelier, so that none crowd the epoch's end."""
        if (left > 0).sum() >= self.p:
            return torch.multinomial(left, self.p, generator=generator)
        # an incomplete last batch: all people with visits left, and any others
        order = left + 0.5 * torch.rand(len(left), generator=generator)
        return order.argsort(descending=True)[: self.p]

    def batches(self) -> Iterator[list[int]]:
        """Yield this epoch's batches of all processes together."""
        generator = Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        groups = [self._draw(rows, generator) for rows in self._rows]
        left = self._visits()
        while left.any():
            batch = []
            for person in self._choose(left, generator).tolist():
                groups[person] = groups[person] or self._draw(self._rows[person], generator)
                batch += groups[person].pop().tolist()
                left[person] = max(0.0, left[person].item() - 1)
            yield batch

    def __iter__(self) -> Iterator[list[int]]:
        """Iterate over this process's batches of the epoch ``self.epoch``."""
        wanted = len(self) * self.world
        return islice(cycle(list(self.batches())), self.rank, wanted, self.world)
