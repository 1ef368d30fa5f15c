from __future__ import annotations

import pytest
import torch

from passerby.gallery.store import quantized
from passerby.gallery.store.quantized import approximate, products, quantize


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", ["random", "positive", "alike", "one dimension", "equal", "huge"])
def test_distances_are_within_their_bound(normalize: bool, kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, query = torch.randn(300, 64, generator=generator), torch.randn(9, 64, generator=generator)
    if kind == "positive":
        rows, query = rows.relu(), query.relu()
    elif kind == "alike":
        rows, query = 1 + 1e-4 * rows, 1 + 1e-4 * query
    elif kind == "one dimension":
        rows[:, 1:] *= 1e-3
    elif kind == "equal":
        rows = rows[:1].expand(300, 64).clone()
    elif kind == "huge":
        rows, query = 1e12 * rows, 1e12 * query
    found, bound = approximate(query, quantize(rows, normalize=normalize), normalize=normalize)
    x, y = query.double(), rows.double()
    if normalize:
        x, y = torch.nn.functional.normalize(x), torch.nn.functional.normalize(y)
    true = (x[:, None] - y[None]).pow(2).sum(2)
    assert ((found.double() - true).abs() <= bound.double()[:, None]).all()
    if kind == "random":
        assert bound.max() < 0.1 * true.mean(), "a bound that keeps all rows is none"


def test_products_without_those_of_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(-127, 128, (3, 512), generator=generator, dtype=torch.int8)
    b = torch.randint(-127, 128, (20_000, 512), generator=generator, dtype=torch.int8)
    fast = products(a, b)
    monkeypatch.setattr(quantized, "_has_exact_products", lambda: False)
    assert torch.equal(products(a, b), fast)
    assert torch.equal(fast[:, :50], (a.long() @ b[:50].long().T).float())
