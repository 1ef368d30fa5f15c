"""Distances of all pairs of a query and a gallery picture, with memory bounded.

Query × gallery pairs are looked at in blocks. Pairs of the same person are few and all kept. Of pairs of different
people, which are as many as query × gallery, are kept

- all, where they are no more than ``kept``;
- else the nearest hundredth, every one of them: they decide the thresholds and true-positive rates at false-match
  rates up to 1e-2, which are exact, therefore; and of those beyond it a seeded sample, one of every r, each of which
  stands for as many as there are.

So what is held is a hundredth of all pairs, and ``kept`` more. Who counts is as in ranking: junk does not, nor does the
same person seen by the query's own camera (unless the protocol says so); distractors are strangers to everybody.
Other people seen by the query's own camera do count, since a search finds them too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.metrics.open_set import RATES, Pairs
from passerby.retrieval.distance.compare import BLOCK_BYTES, CELL_BYTES, compare, row_blocks
from passerby.retrieval.matches import Matches, block_cells, rows_with_role
from passerby.types import Embeddings, Protocol, Role

KEPT = 2**20
"""Different pairs up to which all are kept, and beyond which so many are drawn."""


def pair_distances(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    *,
    kept: int = KEPT,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
) -> Pairs:
    """Distances of every query to all that it may be compared with; queries that are junk or distractors ask nothing.

    Args:
        kept: see above.
        seed: of the sample.

    Raises:
        ProtocolError: if labels that the protocol needs are missing, it re-ranks, embeddings are not comparable, or
            there are no same or no different pairs.
    """
    check_not_reranked(protocol)
    matches = Matches.find(query, gallery, protocol)
    comparison = compare(query, gallery, protocol.distance, normalize=protocol.normalize)
    asks = rows_with_role(query, Role.PERSON)
    total = len(asks) * (len(gallery) - len(matches.junk)) - _entries(matches.positive) - _entries(matches.ignored)
    different, same = _Different.of(total, kept, seed), []
    row_bytes = (comparison.cell_bytes + CELL_BYTES) * len(gallery)
    for places in row_blocks(len(asks), row_bytes, block_bytes) if len(asks) else ():
        rows = asks[places]
        distances = comparison.block(rows.to(comparison.device))
        counted = torch.ones_like(distances, dtype=torch.bool)
        counted[:, matches.junk.to(distances.device)] = False
        counted[block_cells(matches.ignored, rows, distances.device)] = False
        own = block_cells(matches.positive, rows, distances.device)
        counted[own] = False
        same.append(distances[own].cpu())
        different.add(distances[counted].cpu().numpy())
    return Pairs.from_distances(torch.cat(same) if same else torch.zeros(0), *different.result())


def check_not_reranked(protocol: Protocol) -> None:
    """Say before any work that open-set metrics are of distances.

    Raises:
        ProtocolError: if the protocol re-ranks.
    """
    if protocol.rerank:
        raise ProtocolError(
            "a re-ranked distance depends on who else is in the gallery, so no threshold can hold for it: "
            "leave --rerank out"
        )


def _entries(columns: tuple[Tensor, ...]) -> int:
    return sum(len(some) for some in columns)


@dataclass
class _Different:
    """What is kept of the distances of different pairs, which come a block at a time."""

    total: int
    nearest: int
    """How many of the nearest are kept; 0: all of ``every`` is."""
    every: int
    """One of so many is drawn."""
    draw: np.random.Generator
    near: list[NDArray[np.floating]] = field(default_factory=list)
    drawn: list[NDArray[np.floating]] = field(default_factory=list)
    bound: float = math.inf
    """Farther ones are not among the nearest."""
    seen: int = 0

    @classmethod
    def of(cls, total: int, kept: int, seed: int) -> _Different:
        if total <= kept:
            return cls(total, 0, 1, np.random.default_rng(seed))
        nearest = math.floor(max(RATES) * total) + 2  # the threshold itself is the first one over the rate
        return cls(total, nearest, math.ceil(total / kept), np.random.default_rng(seed))

    def add(self, distances: NDArray[np.floating]) -> None:
        self.seen += len(distances)
        if not np.isfinite(distances).all():
            raise ProtocolError("some distances are not finite: the embeddings are too long for their dtype")
        places = np.arange(0, len(distances), self.every)
        places += self.draw.integers(0, self.every, len(places))
        self.drawn.append(distances[places[places < len(distances)]])
        if self.nearest:
            self.near.append(distances[distances <= self.bound])
            if sum(map(len, self.near)) > 2 * self.nearest:
                self._cut()

    def _cut(self) -> None:
        near = np.concatenate(self.near)
        if len(near) > self.nearest:
            near = np.partition(near, self.nearest - 1)[: self.nearest]
            self.bound = float(near.max())
        self.near = [near]

    def result(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Distances, and how many pairs each stands for."""
        assert self.seen == self.total, f"{self.seen} different pairs were seen where {self.total} were counted"
        drawn = np.concatenate(self.drawn) if self.drawn else np.zeros(0)
        if not self.nearest:
            return torch.from_numpy(drawn), torch.ones(len(drawn))
        self._cut()
        return _joined(np.sort(self.near[0]), drawn, self.total)


def _joined(
    near: NDArray[np.floating], drawn: NDArray[np.floating], total: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The nearest, and what was drawn beyond them; at the bound between may be many, of which both know some."""
    bound = near[-1]
    below, rest = near[near < bound], drawn[drawn >= bound]
    farther = rest[rest > bound]
    tied, left = float(len(near) - len(below)), total - len(below)
    if len(farther):
        tied = max(tied, left * (1 - len(farther) / len(rest)))
        share = (left - tied) / len(farther)
    else:
        tied, share = left, 0.0
    counts = np.concatenate([np.ones(len(below)), [tied], np.full(len(farther), share)])
    return torch.from_numpy(np.concatenate([below, [bound], farther])), torch.from_numpy(counts)
