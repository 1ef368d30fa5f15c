"""Sample batches: P people × K images, which batch-hard triplets need (Hermans et al., 2017), or random images."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Literal

import torch
from torch import Generator, Tensor

from passerby.errors import ConfigError

Order = Literal["people", "random", "graph"]
EpochOf = Literal["images", "identities"]
Coverage = Literal["groups", "all"]


class BatchSampler(ABC):
    """The batches of one process, as lists of row numbers.

    They are a function of ``(seed, epoch)`` alone; with several processes each makes the same list and takes every
    ``world``-th batch, so that all take equally many steps.

    Args:
        seed: the random seed.
        rank: the index of this process.
        world: the number of processes.
    """

    def __init__(self, *, seed: int, rank: int = 0, world: int = 1) -> None:
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0

    @abstractmethod
    def steps(self) -> int:
        """Return the number of batches of all processes together."""

    @abstractmethod
    def batches(self) -> Iterator[list[int]]:
        """Yield this epoch's batches of all processes together."""

    def __len__(self) -> int:
        return math.ceil(self.steps() / self.world)

    def __iter__(self) -> Iterator[list[int]]:
        """Iterate over this process's batches of the epoch ``self.epoch``; the first ones again where they run out."""
        return islice(cycle(list(self.batches())), self.rank, len(self) * self.world, self.world)

    def generator(self) -> Generator:
        """Return the generator of this epoch's random numbers."""
        return Generator().manual_seed(self.seed * 1_000_003 + self.epoch)


class PKSampler(BatchSampler):
    """A sampler of lists of exactly ``p × k`` row numbers: ``p`` different people with ``k`` images each.

    A person with fewer than ``k`` images repeats some.

    ``epoch_of="images"``: a person occurs once for each ``k`` of their images, in groups of ``k``. Up to ``k`` − 1 of
    their images are left over, others in each epoch. ``coverage="all"`` adds a group for those, filled up with images
    of the same person, so that every epoch sees every image. ``epoch_of="identities"``: each person occurs once, as in
    AlignedReID++'s own code, except that its incomplete last batch is filled up here instead of left out.

    Market-1501's 12,936 training images of 751 people, the first epoch of seed 0:

    ========  ================  ==========  =====  ==========  ========  =======
    p × k     an epoch is of    coverage    steps  never seen  repeated  most
    ========  ================  ==========  =====  ==========  ========  =======
    8 × 4     images            groups        372       1,073        39  3 times
    16 × 4    images            groups        186       1,071        37  3 times
    8 × 4     images            all           440           0     1,139  3 times
    32 × 1    images            groups        405           0        24  twice
    8 × 4     identities        groups         94       9,946        16  3 times
    ========  ================  ==========  =====  ==========  ========  =======

    Args:
        labels: the class index of every row.
        p: the number of people per batch.
        k: the number of images per person.
        epoch_of: what an epoch visits, see above.
        coverage: ``groups``: whole groups of ``k`` images; ``all``: every image, see above.
        seed, rank, world: as of :class:`BatchSampler`.

    Raises:
        ConfigError: if there are fewer than ``p`` people, or every image is to be seen in an epoch of identities.
    """

    def __init__(
        self,
        labels: Sequence[int],
        *,
        p: int,
        k: int,
        seed: int,
        epoch_of: EpochOf = "images",
        coverage: Coverage = "groups",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if coverage == "all" and epoch_of != "images":
            raise ConfigError(
                f"sampler.coverage=all sees every image, but sampler.epoch_of={epoch_of} shows {k} of each person. "
                "Fix: --set sampler.epoch_of=images"
            )
        ids = torch.as_tensor(labels)
        self._rows = [torch.nonzero(ids == i).squeeze(1) for i in ids.unique()]
        if len(self._rows) < p:
            raise ConfigError(
                f"a batch needs {p} different people, the training split has {len(self._rows)}; "
                "lower sampler.p or add people"
            )
        super().__init__(seed=seed, rank=rank, world=world)
        self.p, self.k, self.epoch_of, self.coverage = p, k, epoch_of, coverage

    def _visits(self) -> Tensor:
        """Return how often each person occurs in an epoch."""
        if self.epoch_of == "identities":
            return torch.ones(len(self._rows))
        if self.coverage == "all":
            return torch.tensor([math.ceil(len(r) / self.k) for r in self._rows], dtype=torch.float)
        return torch.tensor([max(1, len(r) // self.k) for r in self._rows], dtype=torch.float)

    def steps(self) -> int:
        """Return the number of batches of all processes together."""
        visits = self._visits()
        needed = math.ceil(visits.sum().item() / self.p)
        # a batch shows a person once: one with very many images may need more
        return max(needed, int(visits.max())) if self.coverage == "all" else needed

    def _draw(self, rows: Tensor, generator: Generator) -> list[Tensor]:
        """Return one person's rows, shuffled and split into groups of k (a short one is filled with repeats)."""
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        if len(rows) < self.k:
            more = torch.randint(len(rows), (self.k - len(rows),), generator=generator)
            shuffled = torch.cat([shuffled, rows[more]])
        elif self.coverage == "all":
            shuffled = torch.cat([shuffled, shuffled[: -len(rows) % self.k]])
        return list(shuffled[: len(shuffled) // self.k * self.k].split(self.k))

    def _choose(self, left: Tensor, steps: int, generator: Generator) -> Tensor:
        """Choose ``p`` different people; more visits left make one likelier, so that none crowd the epoch's end.

        Where every image is to be seen, those who need all of the remaining ``steps`` come first.
        """
        if self.coverage == "all":
            gumbel = -torch.empty(len(left)).exponential_(generator=generator).log()  # sorts like drawing by weight
            order = left.clamp_min(1e-9).log() + gumbel
            return torch.where(left >= steps, torch.inf, order).argsort(descending=True)[: self.p]
        if (left > 0).sum() >= self.p:
            return torch.multinomial(left, self.p, generator=generator)
        # an incomplete last batch: all people with visits left, and any others
        order = left + 0.5 * torch.rand(len(left), generator=generator)
        return order.argsort(descending=True)[: self.p]

    def batches(self) -> Iterator[list[int]]:
        """Yield this epoch's batches of all processes together."""
        generator = self.generator()
        groups = [self._draw(rows, generator) for rows in self._rows]
        left, steps = self._visits(), self.steps()
        while left.any():
            batch = []
            for person in self._choose(left, steps, generator).tolist():
                groups[person] = groups[person] or self._draw(self._rows[person], generator)
                batch += groups[person].pop().tolist()
                left[person] = max(0.0, left[person].item() - 1)
            steps -= 1
            yield batch


class GraphSampler(PKSampler):
    """A sampler of batches of people who look alike (Liao, Shao: Graph Sampling, CVPR 2022).

    Each person in turn forms a batch with those ``p`` − 1 others whom the network confuses most with them, ``k`` images
    of each. ``neighbors`` has to be set before each epoch, from one image of every person. *Deviations*: an epoch has
    as many batches as :class:`PKSampler`'s and draws their first people, where the paper has one batch of each person;
    distances are those of embeddings, the paper's are of QAConv.

    Args:
        labels, p, k, seed, rank, world: as of :class:`PKSampler`.
    """

    def __init__(self, labels: Sequence[int], *, p: int, k: int, seed: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(labels, p=p, k=k, seed=seed, rank=rank, world=world)
        self.neighbors: Tensor | None = None
        """The others who look most like each person, ``(people, p - 1)`` int64."""

    def one_each(self) -> list[int]:
        """Return the row number of one random image of each person, other ones in each epoch."""
        generator = self.generator()
        return [int(rows[torch.randint(len(rows), (1,), generator=generator)]) for rows in self._rows]

    def batches(self) -> Iterator[list[int]]:
        """Yield this epoch's batches of all processes together."""
        if self.neighbors is None:
            raise ConfigError("batches of people who look alike need the neighbors of each. Fix: set them first")
        generator = self.generator()
        people = len(self._rows)
        orders = [torch.randperm(people, generator=generator) for _ in range(math.ceil(self.steps() / people))]
        for first in torch.cat(orders)[: self.steps()].tolist():
            chosen = [first, *self.neighbors[first].tolist()]
            yield torch.cat([self._draw(self._rows[person], generator)[0] for person in chosen]).tolist()


class RandomSampler(BatchSampler):
    """A sampler of lists of exactly ``size`` row numbers in random order, of any people.

    Every image comes once in an epoch, but for the first ones, which fill up the last batch.

    Args:
        rows: the number of rows to choose from.
        size: the number of images per batch.

    Raises:
        ConfigError: if there are fewer than ``size`` rows.
    """

    def __init__(self, rows: int, *, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if rows < size:
            raise ConfigError(
                f"a batch needs {size} images, the training split has {rows}. Fix: lower sampler.p or add images"
            )
        super().__init__(seed=seed, rank=rank, world=world)
        self.rows, self.size = rows, size

    def steps(self) -> int:
        """Return the number of batches of all processes together."""
        return math.ceil(self.rows / self.size)

    def batches(self) -> Iterator[list[int]]:
        """Yield this epoch's batches of all processes together."""
        generator = self.generator()
        order = torch.randperm(self.rows, generator=generator)
        for batch in torch.cat([order, order[: -self.rows % self.size]]).split(self.size):
            yield batch.tolist()


def create_sampler(
    labels: Sequence[int],
    *,
    p: int,
    k: int,
    seed: int,
    order: Order = "people",
    epoch_of: EpochOf = "images",
    coverage: Coverage = "groups",
    rank: int = 0,
    world: int = 1,
) -> BatchSampler:
    """Return a sampler of ``p`` people × ``k`` images (any, or such who look alike), or of images in random order.

    Raises:
        ConfigError: for options that exclude each other, or too little data.
    """
    if order == "people":
        return PKSampler(labels, p=p, k=k, seed=seed, epoch_of=epoch_of, coverage=coverage, rank=rank, world=world)
    if epoch_of != "images":
        raise ConfigError(
            f"sampler.order={order} counts epochs in images, but sampler.epoch_of is {epoch_of}. "
            "Fix: --set sampler.epoch_of=images"
        )
    if order == "graph":
        return GraphSampler(labels, p=p, k=k, seed=seed, rank=rank, world=world)
    return RandomSampler(len(labels), size=p * k, seed=seed, rank=rank, world=world)
