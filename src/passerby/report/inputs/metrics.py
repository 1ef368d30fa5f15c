"""The numbers that a report shows, and what each query adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from passerby.metrics.functional import bootstrap_intervals
from passerby.types import QueryResults

RANKS = (1, 5, 10, 20)


class Metric(NamedTuple):
    key: str
    """``cmc.1`` is a result's ``["cmc"]["1"]``."""
    name: str
    meaning: str
    interval: str | None = None
    """Its name among a result's intervals."""

    def of(self, numbers: dict[str, Any]) -> float | None:
        value: Any = numbers
        for part in self.key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found: float | None = value
        return found

    def interval_of(self, numbers: dict[str, Any]) -> Sequence[float] | None:
        found: Sequence[float] | None = numbers.get("intervals", {}).get(self.interval)
        return found


METRICS = (
    Metric("cmc.1", "rank-1", "queries whose nearest picture is right", "rank1"),
    *(Metric(f"cmc.{k}", f"rank-{k}", f"queries with a right one among the nearest {k}") for k in RANKS[1:]),
    Metric("mean_ap", "mAP", "mean average precision: are all right pictures near the top?", "mean_ap"),
    Metric("minp", "mINP", "how far down the last right one is", "minp"),
)


def of_each(queries: QueryResults) -> Tensor:
    """``(m, n)``: what each query adds to each metric, in their order."""
    within = [(queries.first_rank <= k).double() for k in RANKS]
    return torch.stack([*within, queries.average_precision, queries.inverse_negative_penalty])


def intervals(queries: QueryResults | None) -> dict[str, list[float]]:
    """Of each metric by its key, by bootstrap over queries; of a mean over draws nothing is known of each query."""
    if queries is None:
        return {}
    ends = bootstrap_intervals(of_each(queries)).tolist()
    return {metric.key: each for metric, each in zip(METRICS, ends, strict=True)}
