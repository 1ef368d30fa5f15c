"""The distances of all pairs of a query and a gallery image, in bounded memory.

Query × gallery pairs are processed in blocks. Pairs of the same person are few, and all are kept. Of pairs of different
people, about as many as query × gallery, are kept

- all, if they are at most ``kept``;
- else the nearest hundredth, every one of them: they decide the thresholds and true-positive rates at false-match
  rates up to 1e-2, which are therefore exact; and of those beyond it a seeded sample, one of every r, each of which
  stands for its share of them.

The memory is thus a hundredth of all pairs, and ``kept`` more. Rows count as in ranking: junk does not, nor does the
same person by the query's own camera (unless the protocol counts it); distractors differ from every person.
Other people by the query's own camera do count, since a search finds them too.
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
"""The number of different pairs up to which all are kept, and beyond which a sample of that size is."""


def pair_distances(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    *,
    kept: int = KEPT,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
) -> Pairs:
    """Return the distances of every query to all comparable rows; junk and distractors among the queries are left out.

    Args:
        kept: see above.
        seed: random seed of the sample.

    Raises:
        ProtocolError: if labels that the protocol needs are missing, it re-ranks, embeddings are not comparable, or
            there are no same or no different pairs.
    """
    check_not_reranked(protocol)
    matches = Matches.find(query, gallery, protocol)
    comparison = compare(query, gallery, protocol.distance, normalize=protocol.normalize)
    people = rows_with_role(query, Role.PERSON)
    total = len(people) * (len(gallery) - len(matches.junk)) - _entries(matches.positive) - _entries(matches.ignored)
    different, same = _DifferentPairs.plan(total, kept, seed), []
    row_bytes = (comparison.cell_bytes + CELL_BYTES) * len(gallery)
    for places in row_blocks(len(people), row_bytes, block_bytes) if len(people) else ():
        rows = people[places]
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
    """Check, before any work, that open-set metrics are computed of distances and not of re-ranked ones.

    Raises:
        ProtocolError: if the protocol re-ranks.
    """
    if protocol.rerank:
        raise ProtocolError(
            "a re-ranked distance depends on the other gallery images, so no threshold can hold for it. "
            "Fix: leave --rerank out"
        )


def _entries(columns: tuple[Tensor, ...]) -> int:
    return sum(len(each) for each in columns)


@dataclass
class _DifferentPairs:
    """A bounded sample of the distances of different pairs, which are added block by block."""

    total: int
    nearest: int
    """The number of nearest pairs to keep; 0: all pairs are kept in ``drawn``."""
    every: int
    """The sampling interval: one pair of so many is drawn."""
    draw: np.random.Generator
    near: list[NDArray[np.floating]] = field(default_factory=list)
    drawn: list[NDArray[np.floating]] = field(default_factory=list)
    bound: float = math.inf
    """The distance beyond which pairs are not among the nearest."""
    added: int = 0

    @classmethod
    def plan(cls, total: int, kept: int, seed: int) -> _DifferentPairs:
        """Return an empty sample for ``total`` pairs."""
        if total <= kept:
            return cls(total, 0, 1, np.random.default_rng(seed))
        nearest = math.floor(max(RATES) * total) + 2  # the threshold itself is the first one over the rate
        return cls(total, nearest, math.ceil(total / kept), np.random.default_rng(seed))

    def add(self, distances: NDArray[np.floating]) -> None:
        """Add the distances of one block."""
        self.added += len(distances)
        if not np.isfinite(distances).all():
            raise ProtocolError(
                "some distances are not finite: the norms of the embeddings are too large for their dtype"
            )
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
        """Return distances, and how many pairs each stands for."""
        assert self.added == self.total, f"{self.added} different pairs were added, expected {self.total}"
        drawn = np.concatenate(self.drawn) if self.drawn else np.zeros(0)
        if not self.nearest:
            return torch.from_numpy(drawn), torch.ones(len(drawn))
        self._cut()
        return _join(np.sort(self.near[0]), drawn, self.total)


def _join(
    near: NDArray[np.floating], drawn: NDArray[np.floating], total: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the nearest pairs and those drawn beyond them; pairs at the bound itself may be in both."""
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
