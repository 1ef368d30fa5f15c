"""A run as the sections of a report see it: its folder, and its evaluation where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.images import ModelView, view_samples
from passerby.report.inputs.evaluated_run import Evaluation, Missing
from passerby.report.inputs.record import Record


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a report."""

    record: Record
    evaluation: Evaluation | None
    """The evaluation made for this report; ``None`` where the model or the test data are missing."""
    missing: tuple[Missing, ...] = ()

    @property
    def label(self) -> str:
        """The name of the run, unique within the report."""
        return self.record.label

    @property
    def numbers(self) -> dict[str, Any]:
        """The values of ``passerby evaluate --json``: from this report's evaluation, or else from ``metrics.json``."""
        return self.evaluation.result.to_dict() if self.evaluation else self.record.metrics


def evaluated(runs: Sequence[Run]) -> list[tuple[Run, Evaluation]]:
    """Return the runs that were evaluated for the report, with their evaluations."""
    return [(run, run.evaluation) for run in runs if run.evaluation is not None]


def group_by_data(members: Sequence[tuple[Run, Evaluation]]) -> dict[str, list[tuple[Run, Evaluation]]]:
    """Group evaluated runs by the data that they were evaluated on."""
    groups: dict[str, list[tuple[Run, Evaluation]]] = {}
    for run, evaluation in members:
        groups.setdefault(evaluation.spec, []).append((run, evaluation))
    return groups


def evaluated_embeddings(run: Run, evaluation: Evaluation) -> EvaluatedEmbeddings:
    """Return a run's embeddings with its protocol and calibration, as figures take them."""
    result = evaluation.result
    calibration = evaluation.model.calibration_for(result.protocol)
    fitted = bool(result.details.get("calibration", {}).get("fitted_on_these"))
    return EvaluatedEmbeddings(
        run.label, evaluation.query, evaluation.gallery, result.protocol, calibration, fitted_on_these=fitted
    )


def view_queries(evaluation: Evaluation, n: int = 4) -> ModelView:
    """Return the model's view of some queries, spread evenly over the query split.

    Raises:
        PasserbyError: if the model's inputs cannot be made of them.
    """
    query = evaluation.dataset.split("query")
    rows = torch.linspace(0, len(query) - 1, min(n, len(query))).long().tolist()
    return view_samples(evaluation.model, evaluation.images, [query[row] for row in rows])
