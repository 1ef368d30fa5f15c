"""The alignment of the stripes of two images by DMLI (AlignedReID++; AaP-ReID's local branch).

:mod:`passerby.retrieval.distance.dmli` computes the length of the shortest path; this module finds the path. It begins
with the top stripes, ends with the bottom ones, and goes down in one image at a time. Where two ways cost the same, it
goes down in B first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from passerby.errors import ShapeError
from passerby.retrieval.distance.dmli import stripe_distances


class Step(NamedTuple):
    """A pair of aligned stripes; both are counted from 0, the top."""

    a: int
    b: int
    cost: float
    """The cost tanh(d/2) of their Euclidean distance d, from 0 to 0.76."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The cheapest path."""

    steps: tuple[Step, ...]

    @property
    def distance(self) -> float:
        """The sum of all costs: the DMLI distance of the two images."""
        return math.fsum(step.cost for step in self.steps)

    @property
    def stripes(self) -> tuple[int, int]:
        """The numbers of stripes of A and B."""
        return self.steps[-1].a + 1, self.steps[-1].b + 1


def align(x: Float[Tensor, "s c"], y: Float[Tensor, "t c"]) -> Alignment:
    """Align the L2-normalized stripes ``x`` of A and ``y`` of B, top to bottom, as DMLI does.

    Raises:
        ShapeError: if ``x`` and ``y`` are not stripes with equal numbers of channels.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ShapeError(
            f"stripes have the wrong shape: got {tuple(x.shape)} and {tuple(y.shape)}, expected (s, c) and (t, c). "
            "Fix: give one row each of the local vectors of one model"
        )
    cost: list[list[float]] = stripe_distances(x[None], y[None])[0, 0].double().tolist()
    return Alignment(tuple(Step(a, b, cost[a][b]) for a, b in _cheapest(cost)))


def _cheapest(cost: list[list[float]]) -> list[tuple[int, int]]:
    """Find the cells of the cheapest path from the first to the last, with steps right or down."""
    best = _totals(cost)
    a, b = len(cost) - 1, len(cost[0]) - 1
    path = [(a, b)]
    while a or b:
        from_above = b == 0 or (a > 0 and best[a - 1][b] <= best[a][b - 1])
        a, b = (a - 1, b) if from_above else (a, b - 1)
        path.append((a, b))
    return path[::-1]


def _totals(cost: list[list[float]]) -> list[list[float]]:
    """Compute for each cell the least cost of a path that ends in it."""
    best: list[list[float]] = []
    for a, row in enumerate(cost):
        best.append([])
        for b, here in enumerate(row):
            from_above = [best[a - 1][b]] if a else []
            from_left = [best[a][b - 1]] if b else []
            best[a].append(here + min(from_above + from_left, default=0.0))
    return best
