"""Re-ranking against a literal implementation of its seven steps."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.retrieval.distance.compare import BLOCK_BYTES, DistanceMatrix
from passerby.retrieval.ranking import positive_ranks, query_distances, top_k
from passerby.retrieval.rerank import k_reciprocal, prepare
from passerby.types import Embeddings, Protocol, Rerank, Role


def literal(squared: list[list[float]], queries: int, k1: int, k2: int, lam: float, power: int = 1) -> Tensor:
    """Return the re-ranked distances, step by step, with lists and sets."""
    n = len(squared)
    d = [[(x / (max(row) or 1.0)) ** power for x in row] for row in squared]
    order = [sorted(range(n), key=lambda j, row=row: (row[j], j)) for row in d]  # type: ignore[misc]

    @cache  # a candidate is one of many
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


def reranked(
    squared: Tensor,
    queries: int,
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
    *,
    twice: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> Tensor:
    """Return what passerby makes of given distances among the union, queries first."""
    prepared = prepare(DistanceMatrix(squared), queries, Rerank(k1, k2, lam, twice), block_bytes=block_bytes)
    result = squared.new_full((queries, len(squared) - queries), torch.nan)
    for rows, distances in prepared.blocks():
        result[rows] = distances
    return result


def squared_distances(n: int, dimensions: int, seed: int, *, levels: int | None = None) -> Tensor:
    """Return squared distances among random points; with few levels there are many ties and equal points."""
    points = torch.randn(n, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if levels:
        points = (points * levels).round() / levels
    return (points[:, None] - points[None]).pow(2).sum(2)


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(2, 40), share=st.floats(0.01, 0.99), k1=st.integers(1, 30), k2=st.integers(1, 10),
    lam=st.floats(0, 1), seed=st.integers(0, 10_000), levels=st.sampled_from([None, 1, 2]), twice=st.booleans(),
    block_bytes=st.sampled_from([1, 2_000, 10**7]),
)  # fmt: skip
def test_re_ranking_equals_the_literal_steps(
    n: int, share: float, k1: int, k2: int, lam: float, seed: int, levels: int | None, twice: bool, block_bytes: int
) -> None:
    queries = min(max(1, round(n * share)), n - 1)
    given = squared_distances(n, 3, seed, levels=levels)
    found = reranked(given, queries, k1, k2, lam, twice=twice, block_bytes=block_bytes)
    expected = literal(given.tolist(), queries, k1, k2, lam, 2 if twice else 1)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-10


def test_single_precision_is_within_a_hundred_thousandth() -> None:
    given = squared_distances(120, 8, 0).float()
    found = reranked(given, 30)
    assert found.dtype == torch.float32
    assert (found - literal(given.tolist(), 30, 20, 6, 0.3)).abs().max() <= 1e-5


def test_embeddings_give_the_re_ranking_of_their_distances() -> None:
    points = torch.randn(60, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points[41] = points[7]
    unit = points / points.norm(dim=1, keepdim=True)
    among = (unit[:, None] - unit[None]).pow(2).sum(2)
    found = k_reciprocal(points[:20], points[20:], 5, 3, 0.4, block_bytes=3_000)
    assert torch.allclose(found, reranked(among, 20, 5, 3, 0.4), atol=1e-9)
    unnormalized = k_reciprocal(points[:20], points[20:], 5, 3, 0.4, normalize=False)
    assert torch.allclose(unnormalized, reranked((points[:, None] - points[None]).pow(2).sum(2), 20, 5, 3, 0.4))


def test_lambda_one_keeps_the_order_of_the_distances() -> None:
    among = squared_distances(30, 3, 5)
    found = reranked(among, 10, lam=1.0)
    assert torch.equal(found.argsort(1), among[:10, 10:].argsort(1))


def test_copies_in_the_gallery_stay_ties() -> None:
    points = torch.randn(300, 64, generator=torch.Generator().manual_seed(2)).relu()
    points[151:153] = points[150]
    found = k_reciprocal(points[:100], points[100:])
    assert torch.equal(found[:, 50], found[:, 51])
    assert torch.equal(found[:, 50], found[:, 52])


def test_progress_counts_every_row_and_then_every_query() -> None:
    counted: list[int] = []
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(5))
    k_reciprocal(points[:10], points[10:], progress=counted.append, block_bytes=1)
    assert counted == [1] * (30 + 10)


def with_junk(points: Tensor, junk: Tensor, seed: int) -> tuple[Embeddings, Tensor]:
    """Return the points with junk among them, and the places of the points."""
    order = torch.randperm(len(points) + len(junk), generator=torch.Generator().manual_seed(seed))
    places, junk_places = order[: len(points)].sort().values, order[len(points) :]
    rows, roles = (
        torch.empty(len(order), points.shape[1], dtype=points.dtype),
        torch.zeros(len(order), dtype=torch.long),
    )
    rows[places], rows[junk_places], roles[junk_places] = points, junk, int(Role.JUNK)
    pids = torch.zeros_like(roles)
    pids[places] = torch.arange(len(points)) % 7
    return Embeddings(rows, tuple(map(str, range(len(rows)))), pids, torch.arange(len(rows)), roles), places


def test_junk_is_no_neighbor() -> None:
    points = torch.randn(60, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    junk = points[::3] + 0.01  # close to many, so that it would be among the neighbors
    query, rows = with_junk(points[:20], junk[:4], 4)
    gallery, columns = with_junk(points[20:], junk[4:], 5)
    protocol = Protocol(normalize=False, rerank=Rerank(5, 3, 0.4))
    expected = literal((points[:, None] - points[None]).pow(2).sum(2).tolist(), 20, 5, 3, 0.4)
    found = torch.stack([each for _, each in query_distances(rows, query, gallery, protocol)])
    assert (found[:, columns] - expected).abs().max() <= 1e-10
    assert int(found.isinf().sum()) == 20 * (len(gallery) - len(columns))
    clean = [side[side.roles == 0] for side in (query, gallery)]
    ranks = [positive_ranks(*sides, protocol).ranks for sides in ((query, gallery), clean)]
    assert torch.equal(*ranks)
    nearest = top_k(query[rows], gallery, 40, normalize=False, rerank=protocol.rerank).indices
    assert set(nearest.flatten().tolist()) == set(columns.tolist())


def test_junk_cannot_be_asked_for_its_neighbors() -> None:
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(3))
    query, gallery = with_junk(points[:4], points[:1], 0)[0], with_junk(points[4:], points[:2], 1)[0]
    with pytest.raises(ProtocolError, match="1 of 5 queries are junk, which re-ranking leaves out, for example '"):
        top_k(query, gallery, 3, rerank=Rerank())
    with pytest.raises(ProtocolError, match="k must be between 1 and the gallery's 8 images, got 9"):
        top_k(query[query.roles == 0], gallery, 9, rerank=Rerank())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"k1": 0}, "k1 and k2 must be at least 1, got 0 and 6"),
        ({"k2": 0}, "got 20 and 0"),
        ({"lam": 1.5}, "from 0 to 1, got 1.5"),
        ({"lam": float("nan")}, "got nan"),
    ],
)
def test_arguments_out_of_range_raise(arguments: dict[str, float], word: str) -> None:
    rows = torch.eye(4)
    with pytest.raises(ProtocolError, match=word):
        k_reciprocal(rows[:2], rows[2:], **arguments)  # type: ignore[arg-type]


def test_sides_that_cannot_be_compared_raise() -> None:
    rows = torch.eye(4)
    with pytest.raises(ShapeError, match="queries have 4 dimensions, the gallery 3"):
        k_reciprocal(rows, rows[:, :3])
    with pytest.raises(ProtocolError, match="1 of 5 embeddings are zero or not finite"):
        k_reciprocal(rows, torch.zeros(1, 4))
    with pytest.raises(ProtocolError, match="got 0 queries of 4 images"):
        k_reciprocal(rows[:0], rows)
