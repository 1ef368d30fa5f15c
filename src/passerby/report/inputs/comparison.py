"""Whether the numbers of runs can be compared, and their differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from passerby.metrics.functional import bootstrap_intervals
from passerby.report.inputs.metrics import METRICS, query_values
from passerby.report.inputs.run import Run
from passerby.types import Protocol, QueryResults

FEW_PEOPLE = 10
"""The number of people below which intervals of a bootstrap over people are far too narrow."""


def protocol_of(run: Run) -> Protocol | None:
    """Return the protocol of a run's numbers; ``None`` where the run has none, or does not name it."""
    found = asdict(run.evaluation.result.protocol) if run.evaluation else run.record.metrics.get("protocol")
    return Protocol.from_dict(found) if found else None


def comparable(runs: Sequence[Run]) -> bool:
    """Return whether the runs' protocols differ at most in how two images are compared.

    Distance, normalization and flip test-time augmentation belong to a run's method; what counts, over how many
    galleries, and how average precision is computed must be equal.
    """
    plain = Protocol()
    return len({
        replace(found, name=plain.name, distance=plain.distance, normalize=plain.normalize, flip_tta=plain.flip_tta)
        for run in runs
        if (found := protocol_of(run)) is not None
    }) <= 1  # fmt: skip


def paired(runs: Sequence[Run]) -> bool:
    """Return whether the same queries were ranked against the same gallery, so that differences are paired."""
    asked = {
        (run.evaluation.spec, run.evaluation.gallery.paths, run.evaluation.result.per_query.paths)
        if run.evaluation is not None and run.evaluation.result.per_query is not None
        else None
        for run in runs
    }
    return len(asked) == 1 and None not in asked


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two runs, a share in [−1, 1]."""

    value: float
    interval: tuple[float, float]
    """The 95 % interval, by bootstrap over people, each with all of its queries."""
    verdict: str


def paired_differences(first: Run, other: Run) -> dict[str, Difference]:
    """Compute ``other`` − ``first`` for each metric, by key; the runs are :func:`paired`."""
    before, after = _queries(first), _queries(other)
    change = query_values(after) - query_values(before)  # (m, n)
    ends = bootstrap_intervals(change, groups=before.pids).tolist()
    few = len(before.pids.unique()) < FEW_PEOPLE
    return {
        metric.key: Difference(row.mean().item(), (low, high), verdict((low, high), few=few))
        for metric, row, (low, high) in zip(METRICS, change, ends, strict=True)
    }


def verdict(interval: Sequence[float], *, few: bool) -> str:
    """Return what the interval of a difference shows; with few people nothing.

    >>> verdict((0.1, 0.2), few=False), verdict((-0.1, 0.2), few=False), verdict((0.1, 0.2), few=True)
    ('▲ higher', '≈ not significant', '≈ too few people to tell')
    """
    low, high = interval
    if few:
        return "≈ too few people to tell"
    return "▲ higher" if low > 0 else "▼ lower" if high < 0 else "≈ not significant"


def _queries(run: Run) -> QueryResults:
    assert run.evaluation is not None
    assert run.evaluation.result.per_query is not None
    return run.evaluation.result.per_query
