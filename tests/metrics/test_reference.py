"""Real embeddings of Market-1501: passerby's numbers equal those of public evaluators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from passerby.metrics.functional import average_precision, cmc, inverse_negative_penalty
from passerby.metrics.protocol import evaluate_embeddings
from passerby.retrieval.ranking import positive_ranks
from passerby.types import Embeddings, Protocol, Rerank


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Any]:
    whole = json.loads((shared / "data" / "reference_metrics.json").read_text())
    plain: dict[str, Any] = whole["plain"] | {"valid_queries": whole["valid_queries"]}
    return plain | {"reranked": whole["reranked_k1_20_k2_6_lambda_0.3"]}


@pytest.fixture(scope="module")
def market(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "data" / "osnet_market.npz") as arrays:
        return dict(arrays)


def side(market: dict[str, np.ndarray], name: str, dtype: torch.dtype) -> Embeddings:
    features, pids, camids = (torch.from_numpy(market[f"{name}_{c}"]) for c in ("f", "pid", "cam"))
    return Embeddings(features.to(dtype), ("",) * len(features), pids.long(), camids.long())


def test_reference_in_float64(market: dict[str, np.ndarray], reference: dict[str, Any]) -> None:
    query, gallery = (side(market, name, torch.float64) for name in ("query", "gallery"))
    found = positive_ranks(query, gallery, Protocol())
    ranks = found.ranks, found.counts
    assert (len(found.queries), len(found.dropped)) == (reference["valid_queries"], 0)
    curve = cmc(*ranks, 20)
    for k, value in reference["cmc"].items():
        assert curve[int(k) - 1].item() == pytest.approx(value, abs=1e-6)
    for kind in ("step", "trapezoid"):
        mean = average_precision(*ranks, kind).mean().item()  # type: ignore[arg-type]
        assert mean == pytest.approx(reference[f"mean_ap_{kind}"], abs=1e-6)
    assert inverse_negative_penalty(*ranks).mean().item() == pytest.approx(reference["minp"], abs=1e-6)


def test_reference_in_float32(market: dict[str, np.ndarray], reference: dict[str, Any]) -> None:
    query, gallery = (side(market, name, torch.float32) for name in ("query", "gallery"))
    result = evaluate_embeddings(query, gallery)
    assert (result.queries, result.queries_dropped, result.gallery) == (3368, 0, 15913)
    for k, value in reference["cmc"].items():
        assert result.rank(int(k)) == pytest.approx(value, abs=1e-4)
    assert result.mean_ap == pytest.approx(reference["mean_ap_step"], abs=1e-4)
    assert result.minp == pytest.approx(reference["minp"], abs=1e-4)


@pytest.mark.parametrize("twice", [False, True])
def test_reference_re_ranked(market: dict[str, np.ndarray], reference: dict[str, Any], *, twice: bool) -> None:
    query, gallery = (side(market, name, torch.float32) for name in ("query", "gallery"))
    result = evaluate_embeddings(query, gallery, Protocol(rerank=Rerank(torchreid_compat=twice)))
    expected = reference["reranked"]["squared_twice" if twice else "squared_once"]
    for k, value in expected["cmc"].items():
        assert result.rank(int(k)) == pytest.approx(value, abs=5e-4)
    assert result.mean_ap == pytest.approx(expected["mean_ap_step"], abs=5e-4)
    if not twice:
        assert result.minp == pytest.approx(expected["minp"], abs=5e-4)
