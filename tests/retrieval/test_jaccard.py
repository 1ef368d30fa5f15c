"""The sparse Jaccard distances of all against all, against the dense formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from passerby.errors import ProtocolError
from passerby.retrieval.jaccard import jaccard_within
from passerby.retrieval.sparse_rows import SparseRows


def dense(embedding: Tensor, k1: int, k2: int) -> Tensor:
    """Return all Jaccard distances by the formula, from matrices of N × N."""
    rows = F.normalize(embedding.double(), dim=1)
    n, squared = len(rows), (2 - 2 * rows @ rows.T).clamp_min(0)
    distances = squared / squared.max(dim=1, keepdim=True).values.clamp_min(1e-30)
    order = distances.argsort(dim=1, stable=True)

    def reciprocal(k: int) -> Tensor:
        near = torch.zeros(n, n, dtype=torch.bool).scatter_(1, order[:, : k + 1], value=True)
        return near & near.T

    whole, half = reciprocal(k1), reciprocal(round(k1 / 2))
    expanded = whole.clone()
    for image in range(n):
        for other in whole[image].nonzero().flatten().tolist():
            if 3 * (half[other] & whole[image]).sum() > 2 * half[other].sum():
                expanded[image] |= half[other]
    weights = (-distances).exp() * expanded
    weights = weights / weights.sum(dim=1, keepdim=True)
    if k2 > 1:
        weights = weights[order[:, :k2]].mean(dim=1)
    shared = torch.minimum(weights[:, None], weights[None]).sum(dim=2)
    return 1 - shared / torch.maximum(weights[:, None], weights[None]).sum(dim=2)


def filled(sparse: SparseRows) -> Tensor:
    """Return a matrix with 1 where nothing is kept."""
    n = len(sparse)
    _, owner = sparse.entries(torch.arange(n))
    matrix = torch.ones(n, n, dtype=torch.double)
    matrix[owner, sparse.columns] = sparse.weights.double()
    return matrix


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 40),
    k1=st.integers(1, 20),
    k2=st.integers(1, 8),
    seed=st.integers(0, 1000),
    block_bytes=st.sampled_from([1, 3_000, 2**26]),
)
def test_distances_are_those_of_the_dense_formula(n: int, k1: int, k2: int, seed: int, block_bytes: int) -> None:
    embedding = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    found = filled(jaccard_within(embedding, k1=k1, k2=k2, block_bytes=block_bytes))
    assert torch.allclose(found, dense(embedding, k1, k2), atol=2e-5)


def test_only_distances_within_the_radius_are_kept() -> None:
    embedding = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    expected = dense(embedding, 8, 3)
    near = jaccard_within(embedding, k1=8, k2=3, radius=0.6)
    assert len(near.weights) == int((expected <= 0.6).sum())
    assert float(near.weights.max()) <= 0.6
    assert len(near.weights) < 60 * 60 // 4


def test_each_image_is_its_own_nearest() -> None:
    near = jaccard_within(torch.eye(12), k1=2, k2=1, radius=0.0)
    position, owner = near.entries(torch.arange(12))
    assert {(int(o), int(near.columns[p])) for p, o in zip(position, owner, strict=True)} >= {(i, i) for i in range(12)}


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"radius": 1.5}, {"radius": -0.1}])
def test_values_out_of_range_are_errors(wrong: dict[str, float]) -> None:
    with pytest.raises(ProtocolError, match="got"):
        jaccard_within(torch.eye(4), **wrong)  # type: ignore[arg-type]
