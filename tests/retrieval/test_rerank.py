"""Re-ranking against the seven steps taken literally."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.retrieval.rerank import k_reciprocal, k_reciprocal_of


def literal(squared: list[list[float]], queries: int, k1: int, k2: int, lam: float, power: int = 1) -> Tensor:
    """Step by step, with lists and sets."""
    n = len(squared)
    d = [[(x / (max(row) or 1.0)) ** power for x in row] for row in squared]
    order = [sorted(range(n), key=lambda j, row=row: (row[j], j)) for row in d]  # type: ignore[misc]

    def reciprocal(p: int, k: int) -> set[int]:
        return {g for g in order[p][: k + 1] if p in order[g][: k + 1]}

    encodings = []
    for p in range(n):
        near = reciprocal(p, k1)
        expanded = set(near)
        for candidate in near:
            theirs = reciprocal(candidate, round(k1 / 2))
            if len(theirs & near) > 2 / 3 * len(theirs):
                expanded |= theirs
        weights = [math.exp(-d[p][g]) if g in expanded else 0.0 for g in range(n)]
        encodings.append([w / (sum(weights) or 1.0) for w in weights])
    if k2 > 1:
        means = [[encodings[j] for j in order[p][:k2]] for p in range(n)]
        encodings = [[sum(column) / len(rows) for column in zip(*rows, strict=True)] for rows in means]
    result = []
    for p in range(queries):
        smaller = [sum(map(min, encodings[p], encodings[g])) for g in range(queries, n)]
        jaccard = [1 - s / (2 - s) for s in smaller]
        result.append([lam * d[p][queries + g] + (1 - lam) * j for g, j in enumerate(jaccard)])
    return torch.tensor(result, dtype=torch.float64)


def squared_distances(n: int, dimensions: int, seed: int, *, levels: int | None = None) -> Tensor:
    """Among random points; of few levels: with many ties, and with points that are equal."""
    points = torch.randn(n, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if levels:
        points = (points * levels).round() / levels
    return (points[:, None] - points[None]).pow(2).sum(2)


@settings(max_examples=400, deadline=None)
@given(
    n=st.integers(2, 40), share=st.floats(0.01, 0.99), k1=st.integers(1, 30), k2=st.integers(1, 10),
    lam=st.floats(0, 1), seed=st.integers(0, 10_000), levels=st.sampled_from([None, 1, 2]), twice=st.booleans(),
    block_bytes=st.sampled_from([1, 2_000, 10**7]),
)  # fmt: skip
def test_it_equals_the_steps_taken_literally(
    n: int, share: float, k1: int, k2: int, lam: float, seed: int, levels: int | None, twice: bool, block_bytes: int
) -> None:
    queries = min(max(1, round(n * share)), n - 1)
    given = squared_distances(n, 3, seed, levels=levels)
    found = k_reciprocal_of(given, queries, k1, k2, lam, torchreid_compat=twice, block_bytes=block_bytes)
    expected = literal(given.tolist(), queries, k1, k2, lam, 2 if twice else 1)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-10


def test_in_single_precision_it_is_within_a_hundred_thousandth() -> None:
    given = squared_distances(120, 8, 0).float()
    found = k_reciprocal_of(given, 30)
    assert found.dtype == torch.float32
    assert (found - literal(given.tolist(), 30, 20, 6, 0.3)).abs().max() <= 1e-5


def test_from_embeddings_it_is_that_of_their_distances() -> None:
    points = torch.randn(60, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points[41] = points[7]
    unit = points / points.norm(dim=1, keepdim=True)
    among = (unit[:, None] - unit[None]).pow(2).sum(2)
    found = k_reciprocal(points[:20], points[20:], 5, 3, 0.4, block_bytes=3_000)
    assert torch.allclose(found, k_reciprocal_of(among, 20, 5, 3, 0.4), atol=1e-9)
    as_they_are = k_reciprocal(points[:20], points[20:], 5, 3, 0.4, normalize=False)
    assert torch.allclose(as_they_are, k_reciprocal_of((points[:, None] - points[None]).pow(2).sum(2), 20, 5, 3, 0.4))


def test_the_order_of_lambda_one_is_that_of_the_distances() -> None:
    among = squared_distances(30, 3, 5)
    found = k_reciprocal_of(among, 10, lam=1.0)
    assert torch.equal(found.argsort(1), among[:10, 10:].argsort(1))


def test_copies_in_the_gallery_stay_ties() -> None:
    points = torch.randn(300, 64, generator=torch.Generator().manual_seed(2)).relu()
    points[151:153] = points[150]
    found = k_reciprocal(points[:100], points[100:])
    assert torch.equal(found[:, 50], found[:, 51])
    assert torch.equal(found[:, 50], found[:, 52])


def test_progress_counts_every_row_twice_asked_for() -> None:
    told: list[int] = []
    k_reciprocal_of(squared_distances(30, 3, 5), 10, progress=told.append, block_bytes=1)
    assert sum(told) == 30 + 10


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"k1": 0}, "k1 and k2 count neighbors from 1, got 0 and 6"),
        ({"k2": 0}, "got 20 and 0"),
        ({"lam": 1.5}, "0 to 1; got 1.5"),
        ({"lam": float("nan")}, "got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float], word: str) -> None:
    rows = torch.eye(4)
    with pytest.raises(ProtocolError, match=word):
        k_reciprocal(rows[:2], rows[2:], **arguments)  # type: ignore[arg-type]


def test_what_cannot_be_compared_is_refused() -> None:
    rows = torch.eye(4)
    with pytest.raises(ShapeError, match="queries have 4 dimensions, the gallery 3"):
        k_reciprocal(rows, rows[:, :3])
    with pytest.raises(ShapeError, match=r"\(N, N\), got \(2, 3\)"):
        k_reciprocal_of(torch.zeros(2, 3), 1)
    with pytest.raises(ProtocolError, match="1 of 5 embeddings are zero or not finite"):
        k_reciprocal(rows, torch.zeros(1, 4))
    with pytest.raises(ProtocolError, match="not below 0"):
        k_reciprocal_of(-torch.ones(2, 2), 1)
    with pytest.raises(ProtocolError, match="got 0 queries of 4 pictures"):
        k_reciprocal(rows[:0], rows)
