"""A run as the sections of a report see it: its folder, and its evaluation where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from passerby.explain.evaluated import EvaluatedEmbeddings
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
