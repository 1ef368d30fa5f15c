"""Embeddings of query and gallery → verification metrics, and how well the run's calibration holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.digest import dataset_digest
from passerby.metrics.calibration import Calibration
from passerby.metrics.pairs import pair_distances
from passerby.metrics.verification import open_set_metrics
from passerby.types import Embeddings, EvalResult, Protocol


def open_set_details(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, calibration: Calibration | None, dataset: Dataset
) -> dict[str, Any]:
    """Return a result's ``details`` of pairs: ``open_set`` and, for a calibrated run, ``calibration``.

    ``calibration.fitted_on_these`` tells that it was fitted on these very images, so that its numbers are optimistic.
    """
    pairs = pair_distances(query, gallery, protocol)
    found: dict[str, Any] = {"open_set": open_set_metrics(pairs)}
    if calibration:
        fitted_on_these = calibration.content == evaluated_digest(dataset)
        found["calibration"] = {"fitted_on_these": fitted_on_these, **calibration.evaluate(pairs).to_dict()}
    return found


def with_open_set(result: EvalResult, query: Embeddings, gallery: Embeddings) -> EvalResult:
    """Return the result of precomputed embeddings with ``details`` of their pairs.

    Raises:
        ProtocolError: if it was re-ranked.
    """
    numbers = open_set_metrics(pair_distances(query, gallery, result.protocol))
    return replace(result, details=result.details | {"open_set": numbers})


def evaluated_digest(dataset: Dataset) -> str:
    """Return the digest of the images that an evaluation compares."""
    return dataset_digest(dataset, "query", "gallery")
