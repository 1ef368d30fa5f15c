"""Clusters of rows under constraints: what must be together, and what cannot be.

Average linkage (Sokal and Michener, 1958) on the similarities 1 − d_J of k-reciprocal Jaccard distances
(:mod:`passerby.retrieval.jaccard`), of which only those of near rows are kept: a pair without one has similarity 0. The
two clusters of the greatest mean similarity are joined first, and none below 1 − ``radius``. Clusters that hold a pair
which cannot be of one person are never joined.

A merged cluster is to no other more similar than the more similar of its two parts is, so an entry of a queue that was
made before a merge is never too low: it is computed anew when it comes first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from passerby.retrieval.sparse_rows import SparseRows

Pair = tuple[int, int]


class Clusters:
    """The clusters of n rows; each is known by one of its rows.

    Args:
        count: the number of rows, each a cluster of its own at first.
        cannot: the pairs of rows that are never in one cluster.
        labels: numbers of some rows; rows of different ones are never in one cluster.
    """

    def __init__(self, count: int, cannot: Iterable[Pair], labels: Mapping[int, int] | None = None) -> None:
        self.parent = list(range(count))
        self.size = [1] * count
        self.cannot: dict[int, set[int]] = {}
        self.label = dict(labels or {})
        self.similar: dict[int, dict[int, float]] = {}
        """The sum of the similarities of the rows of two clusters, where it is not 0."""
        for a, b in cannot:
            self.cannot.setdefault(a, set()).add(b)
            self.cannot.setdefault(b, set()).add(a)

    def of(self, row: int) -> int:
        """Return the cluster of a row."""
        root = row
        while self.parent[root] != root:
            root = self.parent[root]
        while self.parent[row] != root:
            self.parent[row], row = root, self.parent[row]
        return root

    def may_join(self, a: int, b: int) -> bool:
        """Return whether no pair of two clusters is forbidden."""
        alike = a not in self.label or b not in self.label or self.label[a] == self.label[b]
        return alike and b not in self.cannot.get(a, ())

    def join(self, a: int, b: int) -> int:
        """Make two clusters one, and return it."""
        kept, gone = (a, b) if (self.size[a], -a) >= (self.size[b], -b) else (b, a)
        self.parent[gone] = kept
        self.size[kept] += self.size[gone]
        for other in self.cannot.pop(gone, set()):
            self.cannot[other].discard(gone)
            self.cannot[other].add(kept)
            self.cannot.setdefault(kept, set()).add(other)
        if gone in self.label:
            self.label[kept] = self.label.pop(gone)
        mine = self.similar.setdefault(kept, {})
        for other, weight in self.similar.pop(gone, {}).items():
            theirs = self.similar[other]
            del theirs[gone]
            if other != kept:
                theirs[kept] = mine[other] = mine.get(other, 0.0) + weight
        return kept

    def mean(self, a: int, b: int) -> float:
        """Return the mean similarity of the rows of two clusters."""
        return self.similar.get(a, {}).get(b, 0.0) / (self.size[a] * self.size[b])

    def labels(self) -> NDArray[np.int64]:
        """Return a number for each row, equal within a cluster; clusters are counted by their first rows."""
        numbers: dict[int, int] = {}
        return np.array([numbers.setdefault(self.of(row), len(numbers)) for row in range(len(self.parent))], np.int64)


def clustered(
    near: SparseRows,
    *,
    radius: float,
    must: Iterable[Pair] = (),
    cannot: Iterable[Pair] = (),
    known: Mapping[int, int] | None = None,
) -> tuple[NDArray[np.int64], int]:
    """Return a cluster's number for each row, and how many pairs that must be together are forbidden.

    Args:
        near: the Jaccard distances of near rows, both directions of each pair.
        radius: the largest mean distance of two clusters that are joined.
        must: the pairs that are together from the start, unless that is forbidden.
        cannot: the pairs that never are.
        known: numbers of some rows, by their places: rows of different numbers are never together.
    """
    found, contradictions = Clusters(len(near), cannot, known), 0
    for a, b in must:
        one, other = found.of(a), found.of(b)
        if one == other:
            continue
        if found.may_join(one, other):
            found.join(one, other)
        else:
            contradictions += 1
    _add_similarities(found, near)
    _join_all(found, 1 - radius)
    return found.labels(), contradictions


def _add_similarities(found: Clusters, near: SparseRows) -> None:
    columns, weights = near.columns.tolist(), near.weights.tolist()
    starts = near.starts.tolist()
    for row in range(len(near)):
        own = found.of(row)
        for place in range(starts[row], starts[row + 1]):
            if columns[place] > row and (other := found.of(columns[place])) != own:
                weight = found.similar.get(own, {}).get(other, 0.0) + 1 - weights[place]
                found.similar.setdefault(own, {})[other] = weight
                found.similar.setdefault(other, {})[own] = weight


def _join_all(found: Clusters, least: float) -> None:
    queue = [(-found.mean(a, b), a, b) for a, others in found.similar.items() for b in others if a < b]
    heapq.heapify(queue)
    while queue and -queue[0][0] >= least:
        bound, a, b = heapq.heappop(queue)
        one, other = sorted((found.of(a), found.of(b)))
        if one == other or not found.may_join(one, other):
            continue
        mean = found.mean(one, other)
        if -mean > bound:
            if mean >= least:
                heapq.heappush(queue, (-mean, one, other))
        else:
            found.join(one, other)
