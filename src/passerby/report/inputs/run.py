"""A run as the sections of a report see it: its folder, and its evaluation where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.images import ModelView, view_samples
from passerby.report.inputs.evaluation import Evaluation, FeaturesEvaluation, Missing, ModelEvaluation
from passerby.report.inputs.record import Record

Need = Literal["folder", "embeddings", "model"]
"""The requirement of a section: a run's folder, the embeddings of its evaluation, or its model and images, too."""
_Evaluation = TypeVar("_Evaluation", bound=Evaluation)


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a report, or one file of precomputed embeddings."""

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

    def has(self, need: Need) -> bool:
        """Return whether the run has what a section needs."""
        if need == "folder":
            return not isinstance(self.evaluation, FeaturesEvaluation)
        return isinstance(self.evaluation, ModelEvaluation if need == "model" else Evaluation)


def evaluated(runs: Sequence[Run]) -> list[tuple[Run, Evaluation]]:
    """Return the runs that were evaluated for the report, with their evaluations."""
    return [(run, run.evaluation) for run in runs if run.evaluation is not None]


def evaluated_with_model(runs: Sequence[Run]) -> list[tuple[Run, ModelEvaluation]]:
    """Return the runs whose model was evaluated for the report, with their evaluations."""
    return [(run, run.evaluation) for run in runs if isinstance(run.evaluation, ModelEvaluation)]


def group_by_data(members: Sequence[tuple[Run, _Evaluation]]) -> dict[str, list[tuple[Run, _Evaluation]]]:
    """Group evaluated runs by the data that they were evaluated on."""
    groups: dict[str, list[tuple[Run, _Evaluation]]] = {}
    for run, evaluation in members:
        groups.setdefault(evaluation.spec, []).append((run, evaluation))
    return groups


def evaluated_embeddings(run: Run, evaluation: Evaluation) -> EvaluatedEmbeddings:
    """Return a run's embeddings with its protocol and calibration, as figures take them."""
    result = evaluation.result
    fitted = bool(result.details.get("calibration", {}).get("fitted_on_these"))
    return EvaluatedEmbeddings(
        run.label, evaluation.query, evaluation.gallery, result.protocol, evaluation.calibration, fitted_on_these=fitted
    )


def view_queries(evaluation: ModelEvaluation, n: int = 4) -> ModelView:
    """Return the model's view of some queries, spread evenly over the query split.

    Raises:
        PasserbyError: if the model's inputs cannot be made of them.
    """
    query = evaluation.dataset.split("query")
    rows = torch.linspace(0, len(query) - 1, min(n, len(query))).long().tolist()
    return view_samples(evaluation.model, evaluation.images, [query[row] for row in rows])
