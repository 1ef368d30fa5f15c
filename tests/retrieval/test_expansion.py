"""Query expansion against literal sums."""

from __future__ import annotations

import math
from operator import mul

import pytest
import torch
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.retrieval.expansion import augment_gallery, expand_queries


def points(n: int, seed: int) -> Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def literal(row: list[float], others: list[list[float]], k: int, alpha: float) -> list[float]:
    """Return one row averaged with its nearest."""

    def unit(x: list[float]) -> list[float]:
        return [v / math.hypot(*x) for v in x]

    cosines = sorted(((sum(map(mul, unit(row), unit(o))), unit(o)) for o in others), reverse=True)[:k]
    total = unit(row)
    for cosine, other in cosines:
        total = [t + max(0.0, cosine) ** alpha * o for t, o in zip(total, other, strict=True)]
    return unit(total)


@pytest.mark.parametrize(("k", "alpha"), [(1, 3.0), (4, 3.0), (4, 0.0), (12, 1.0)])
def test_expanded_queries_follow_the_formula(k: int, alpha: float) -> None:
    q, g = points(7, 0), points(12, 1)
    expected = [literal(row, g.tolist(), k, alpha) for row in q.tolist()]
    for block_bytes in (1, 10**6):
        found = expand_queries(q, g, k, alpha, block_bytes=block_bytes)
        assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_gallery_rows_are_averaged_with_others_only() -> None:
    g = points(9, 2)
    rows = g.tolist()
    expected = [literal(row, rows[:i] + rows[i + 1 :], 3, 2.0) for i, row in enumerate(rows)]
    assert torch.allclose(augment_gallery(g, 3, 2.0), torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_a_copy_of_a_gallery_row_is_its_neighbor() -> None:
    g = points(6, 3)
    g[4] = g[1]
    assert torch.allclose(augment_gallery(g, 1)[1], g[1] / g[1].norm())


def test_invalid_arguments_raise() -> None:
    q, g = points(2, 0), points(4, 1)
    with pytest.raises(ProtocolError, match=r"between 1 and 4, .* got 5"):
        expand_queries(q, g, 5)
    with pytest.raises(ProtocolError, match=r"between 1 and 3, .* got 4"):
        augment_gallery(g, 4)
    with pytest.raises(ProtocolError, match="got -1"):
        expand_queries(q, g, 2, -1.0)
    with pytest.raises(ShapeError, match="the gallery 3"):
        expand_queries(q, g[:, :3], 2)
    with pytest.raises(ProtocolError, match="zero or not finite"):
        augment_gallery(torch.zeros_like(g), 2)
