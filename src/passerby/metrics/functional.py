"""The retrieval metrics as pure functions of ranks. All values are float64, in [0, 1], larger is better.

``ranks (m,)`` are the 1-based ranks of the true matches of all queries, ascending within a query; ``counts
(v,)`` are the number of ranks of each query.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

_DRAWS_AT_ONCE = 250
APKind = Literal["step", "trapezoid"]


def _query_of(counts: Int[Tensor, " v"]) -> Int[Tensor, " m"]:
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


def _starts(counts: Int[Tensor, " v"]) -> Int[Tensor, " v"]:
    return counts.cumsum(0) - counts


def average_precision(
    ranks: Int[Tensor, " m"], counts: Int[Tensor, " v"], kind: APKind = "step"
) -> Float[Tensor, " v"]:
    """Return the average precision of each query, whose i-th match at rank r has precision i/r.

    ``step``: Σ i/r ÷ n. ``trapezoid``: the original Market-1501 code, Σ (i/r + (i−1)/(r−1))/2 ÷ n, the
    precision before rank 1 being 1. Matches at ranks 2 and 4: 0.500 and 0.333.
    """
    query = _query_of(counts)
    i = torch.arange(len(ranks)) - _starts(counts)[query] + 1
    precision = i.double() / ranks
    if kind == "trapezoid":
        before = torch.where(ranks > 1, (i - 1).double() / (ranks - 1).clamp_min(1), 1.0)
        precision = (precision + before) / 2
    return torch.zeros(len(counts), dtype=torch.float64).index_add(0, query, precision) / counts


def inverse_negative_penalty(ranks: Int[Tensor, " m"], counts: Int[Tensor, " v"]) -> Float[Tensor, " v"]:
    """Return the number of matches ÷ the rank of the last one, for each query (Ye et al., TPAMI 2021, Eq 4)."""
    return counts.double() / ranks[counts.cumsum(0) - 1]


def cmc(ranks: Int[Tensor, " m"], counts: Int[Tensor, " v"], max_rank: int) -> Float[Tensor, " k"]:
    """Return the cumulative matching characteristic: the share of queries whose first match has rank ≤ 1 … max_rank."""
    first = ranks[_starts(counts)]
    within = torch.bincount(first.clamp_max(max_rank + 1), minlength=max_rank + 2)[1 : max_rank + 1]
    return within.cumsum(0).double() / len(counts)


def precision_recall(
    ranks: Int[Tensor, " m"], counts: Int[Tensor, " v"], *, steps: int = 100
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Return the recalls 0, 1/steps … 1, and the interpolated precision at each, the mean over queries.

    A query's interpolated precision at recall t is the highest of its precisions i/r at recalls i/n ≥ t (Manning,
    Raghavan and Schütze, 2008, §8.4), i running over its n matches, whose ranks are r. It never rises with t.

    >>> precision_recall(torch.tensor([2, 4, 6]), torch.tensor([3]), steps=3)[1].tolist()
    [0.5, 0.5, 0.5, 0.5]
    >>> precision_recall(torch.tensor([1, 4]), torch.tensor([2]), steps=2)[1].tolist()
    [1.0, 1.0, 0.5]
    """
    wanted = torch.arange(steps + 1)
    total = torch.zeros(steps + 1, dtype=torch.float64)
    for own in ranks.split(counts.tolist()):
        n = len(own)
        precision = torch.arange(1, n + 1).double() / own
        highest = precision.flip(0).cummax(0).values.flip(0)
        i = (wanted * n + steps - 1).div(steps, rounding_mode="floor").clamp_min(1)  # ⌈t·n⌉, exactly
        total += highest[i - 1]
    return wanted.double() / steps, total / len(counts)


def bootstrap_intervals(
    values: Float[Tensor, "m v"],
    *,
    groups: Int[Tensor, " v"] | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Float[Tensor, "m 2"]:
    """Return the interval of the mean of each row that holds ``level`` of the samples, drawn with replacement.

    This is the percentile bootstrap (Efron and Tibshirani, 1993, §13.3); queries are treated as independent, unless
    groups are drawn: then only groups are, such as people, whose own queries are similar (the cluster bootstrap).

    Args:
        groups: group of each column, drawn as a whole. ``None``: every column is drawn separately.
    """
    counts = torch.ones(values.shape[1], dtype=values.dtype)
    if groups is not None:
        member = groups.unique(return_inverse=True)[1]
        totals = values.new_zeros(len(values), int(member.max()) + 1)
        counts = values.new_zeros(totals.shape[1]).index_add(0, member, counts)
        values = totals.index_add(1, member, values)
    generator = torch.Generator().manual_seed(seed)
    n = values.shape[1]
    sizes = [min(_DRAWS_AT_ONCE, draws - done) for done in range(0, draws, _DRAWS_AT_ONCE)]
    drawn = [torch.randint(n, (size, n), generator=generator) for size in sizes]
    means = [values[:, some].sum(dim=2) / counts[some].sum(dim=1) for some in drawn]
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype)
    return torch.cat(means, dim=1).quantile(ends, dim=1).T
