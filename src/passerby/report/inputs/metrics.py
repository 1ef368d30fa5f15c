"""The metrics that a report shows, and what each query contributes to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from passerby.metrics.functional import bootstrap_intervals
from passerby.types import QueryResults

RANKS = (1, 5, 10, 20)


class Metric(NamedTuple):
    """A metric of an evaluation, in [0, 1], larger is better."""

    key: str
    """The path of its value in a result: ``cmc.1`` is ``["cmc"]["1"]``."""
    name: str
    meaning: str
    interval: str | None = None
    """The name of its interval in a result."""

    def of(self, numbers: dict[str, Any]) -> float | None:
        """Return the metric's value in the JSON of an evaluation; ``None`` where it has none."""
        value: Any = numbers
        for part in self.key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found: float | None = value
        return found

    def interval_of(self, numbers: dict[str, Any]) -> Sequence[float] | None:
        """Return the metric's 95 % interval in the JSON of an evaluation; ``None`` where it has none."""
        found: Sequence[float] | None = numbers.get("intervals", {}).get(self.interval)
        return found


METRICS = (
    Metric("cmc.1", "rank-1", "queries whose nearest image is a true match", "rank1"),
    *(Metric(f"cmc.{k}", f"rank-{k}", f"queries with a true match among the nearest {k} images") for k in RANKS[1:]),
    Metric("mean_ap", "mAP", "mean average precision: how near the top true matches rank", "mean_ap"),
    Metric("minp", "mINP", "mean inverse negative penalty: where the last true match ranks", "minp"),
)


def query_values(queries: QueryResults) -> Tensor:
    """Return what each query contributes to each of :data:`METRICS`, ``(m, n)``."""
    within = [(queries.first_rank <= k).double() for k in RANKS]
    return torch.stack([*within, queries.average_precision, queries.inverse_negative_penalty])


def intervals(queries: QueryResults | None) -> dict[str, list[float]]:
    """Compute the 95 % interval of each metric, by key, by bootstrap over queries.

    A mean over drawn galleries has no values of single queries (``None``), and so no intervals.
    """
    if queries is None:
        return {}
    ends = bootstrap_intervals(query_values(queries)).tolist()
    return {metric.key: each for metric, each in zip(METRICS, ends, strict=True)}
