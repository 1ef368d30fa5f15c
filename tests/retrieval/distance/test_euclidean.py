"""Euclidean distances, norms, and the copies among rows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.retrieval.distance.compare import compare_vectors
from passerby.retrieval.distance.euclidean import first_copies, l2_normalize, squared_euclidean


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_normalized_rows_have_norm_one() -> None:
    assert torch.allclose(l2_normalize(100 * randn(5, 7)).norm(dim=1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
def test_a_row_without_direction_raises_with_its_number(value: float) -> None:
    features = randn(9, 4)
    features[[2, 5]] = value
    with pytest.raises(ProtocolError, match=r"2 of 9 embeddings .*rows 2, 5"):
        l2_normalize(features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squared_euclidean(dtype: torch.dtype) -> None:
    x, y = randn(4, 6, seed=1, dtype=dtype), randn(5, 6, seed=2, dtype=dtype)
    expected = (x[:, None] - y[None]).pow(2).sum(2)
    found = squared_euclidean(x, y)
    assert found.dtype == dtype
    assert torch.allclose(found, expected, rtol=1e-5)


def test_distances_to_oneself_are_not_below_zero() -> None:
    x = l2_normalize(randn(50, 512, dtype=torch.float32))
    own = squared_euclidean(x, x).diagonal()
    assert own.min() >= 0
    assert own.max() < 1e-6


def test_embeddings_of_different_models_raise() -> None:
    with pytest.raises(ShapeError, match="6 dimensions, the gallery 7"):
        squared_euclidean(randn(2, 6), randn(2, 7))
    with pytest.raises(ShapeError, match=r"float64, the gallery torch\.float32"):
        squared_euclidean(randn(2, 6), randn(2, 6).float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_first_copies(dtype: torch.dtype) -> None:
    rows = randn(4, 3).to(dtype)
    assert first_copies(rows) is None
    copies = first_copies(rows[[0, 1, 0, 2, 1, 1, 3]])
    assert copies is not None
    assert copies.tolist() == [0, 1, 0, 3, 1, 1, 6]


def test_copies_must_agree_in_all_columns_and_in_order() -> None:
    row = torch.tensor([[1.0, 2, 3], [3, 2, 1], [1, 2, 3]])  # the same numbers, so the same sum of bits
    found = first_copies(row)
    assert found is not None
    assert found.tolist() == [0, 1, 0]
    assert first_copies(row, torch.eye(3)) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lengths_whose_squares_are_lost_are_refused(dtype: torch.dtype) -> None:
    points = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)
    order = compare_vectors(points[:3], points[3:], normalize=False).block(torch.arange(3)).argsort(1)
    least = math.sqrt(torch.finfo(dtype).tiny / torch.finfo(dtype).eps)
    for scale in (1.0, 10 * least):
        small = points * scale
        found = compare_vectors(small[:3], small[3:], normalize=False).block(torch.arange(3))
        assert torch.equal(found.argsort(1), order)
    small = points * (least / 100)
    with pytest.raises(ProtocolError, match=r"too short for distances .* Fix: L2-normalize them"):
        compare_vectors(small[:3], small[3:], normalize=False)
    assert torch.equal(compare_vectors(small[:3], small[3:]).block(torch.arange(3)).argsort(1), order_of_units(points))
    equal = torch.full((4, 5), 0.5, dtype=dtype)  # no difference at all is none that is lost
    assert compare_vectors(equal, equal.clone(), normalize=False).block(torch.arange(4)).abs().max() == 0


def order_of_units(points: Tensor) -> Tensor:
    unit = points / points.norm(dim=1, keepdim=True)
    return (unit[:3, None] - unit[None, 3:]).pow(2).sum(2).argsort(1)
