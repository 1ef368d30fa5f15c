"""Costs are those of the operations, and growth is a slope."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from passerby.errors import ConfigError
from passerby.metrics.protocol import evaluate_embeddings


@pytest.fixture
def small(retrieval: ModuleType) -> Any:
    return retrieval.Sizes(queries=20, gallery=100, dimensions=8, stripes=2, channels=4)


@pytest.mark.parametrize("operation", ["evaluate", "top-50", "re-rank", "dmli"])
def test_every_operation_runs(retrieval: ModuleType, small: Any, operation: str) -> None:
    assert len(retrieval.OPERATIONS) == 4
    retrieval.OPERATIONS[operation](small)()


def test_people_are_random_but_the_same_again(retrieval: ModuleType, small: Any) -> None:
    (query, gallery), (again, _) = retrieval.people(small, local=True), retrieval.people(small, local=True)
    assert torch.equal(query.embedding, again.embedding)
    assert (len(query), len(gallery)) == (20, 100)
    assert query.local is not None
    assert query.local.shape == (20, 2, 4)
    result = evaluate_embeddings(query, gallery)
    assert result.mean_ap is not None
    assert 0.3 < result.mean_ap < 1


def test_a_process_reports_what_it_took(retrieval: ModuleType, small: Any) -> None:
    cost = retrieval.measure("evaluate", small, repeats=1)
    assert (cost.operation, cost.sizes, cost.repeats) == ("evaluate", small, 1)
    assert 0 < cost.cpu_seconds < 30
    assert 0 < cost.wall_seconds < 60
    assert 0.05 < cost.peak_gigabytes < 4


def test_a_process_that_dies_is_an_error(retrieval: ModuleType, small: Any) -> None:
    with pytest.raises(ConfigError, match=r"nothing of 20 × 100 ended with exit code 1"):
        retrieval.measure("nothing", small, repeats=1)


def test_sizes_that_cannot_be_evaluated_are_an_error(retrieval: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"1 × 1 cannot be measured: none of the 1 queries has a valid match"):
        retrieval.measure("evaluate", retrieval.Sizes(queries=1, gallery=1), repeats=1)


def test_the_exponent_of_a_square_is_two(retrieval: ModuleType) -> None:
    assert retrieval.exponent([1, 2, 5], [3, 12, 75]) == pytest.approx(2)
