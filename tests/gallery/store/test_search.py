from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, facts, filled, rows

from passerby.gallery.store import search as module
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings

Found = tuple[list[int], list[float]]


@pytest.fixture
def _only_by_a_first_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DIRECT", 0)


def answer(store: Store, query: torch.Tensor, k: int, where: Where | None = None) -> list[Found]:
    hits = store.search(query, k, where)
    return [([int(h.shard.ids[h.place]) for h in each], [h.distance for h in each]) for each in hits]


def by_core(gallery: Embeddings, kept: torch.Tensor, query: torch.Tensor, k: int, *, normalize: bool) -> list[Found]:
    """Return what the ranking core finds among some rows, by their IDs."""
    if not len(kept):
        return [([], [])] * len(query)
    asked = Embeddings(query, ("",) * len(query))
    found = top_k(asked, gallery[kept], min(k, len(kept)), normalize=normalize)
    ids = kept[found.indices].tolist()
    return list(zip(ids, found.distances.tolist(), strict=True))


def same(found: list[Found], expected: list[Found]) -> None:
    """Compare IDs and order; and distances up to the rounding of a product's shape."""
    for (ids, distances), (wanted, true) in zip(found, expected, strict=True):
        assert ids == wanted
        np.testing.assert_allclose(distances, true, rtol=1e-5, atol=2e-6)


@pytest.mark.usefixtures("_only_by_a_first_pass")
@given(
    values=st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=40),
    asked=st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=1, max_size=4),
    k=st.integers(1, 45),
    parts=st.integers(1, 4),
    camera=st.one_of(st.none(), st.integers(0, 3)),
)
def test_ids_order_and_ties_are_those_of_the_ranking_core(
    values: list[list[int]],
    asked: list[list[int]],
    k: int,
    parts: int,
    camera: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Distances of whole numbers are exact, and there are many ties."""
    from dataclasses import replace

    cameras = torch.arange(len(values)) % 4
    gallery = Embeddings(torch.tensor(values).float(), tuple(map(str, range(len(values)))), camids=cameras)
    query = torch.tensor(asked).float()
    store = Store.create(tmp_path_factory.mktemp("s") / "g", replace(ORIGIN, normalize=False), 3)
    for part in torch.arange(len(values)).chunk(parts):
        store.add(gallery[part], facts(gallery[part]))
    where = None if camera is None else Where(cameras=[camera])
    kept = torch.arange(len(values)) if camera is None else (cameras == camera).nonzero().squeeze(1)
    expected = by_core(gallery, kept, query, k, normalize=False)
    assert answer(store, query, k, where) == expected


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("direct", [0, 100, 10**6])
def test_random_queries_and_filters(
    normalize: bool, direct: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(module, "DIRECT", direct)
    generator = torch.Generator().manual_seed(3)
    gallery = rows(3000, camids=torch.randint(0, 40, (3000,), generator=generator))
    assert gallery.camids is not None
    store = Store.create(tmp_path / "g", replace(ORIGIN, normalize=normalize), DIMENSIONS)
    for part in torch.arange(3000).chunk(3):
        store.add(gallery[part], facts(gallery[part]))
    query = torch.randn(40, DIMENSIONS, generator=generator)
    conditions: list[tuple[Where, torch.Tensor]] = [
        (Where(), torch.ones(3000, dtype=torch.bool)),
        (Where(cameras=[3, 9]), (gallery.camids == 3) | (gallery.camids == 9)),
        (Where(not_cameras=[3]), gallery.camids != 3),
        (Where(ids=[5, 1700]), torch.isin(torch.arange(3000), torch.tensor([5, 1700]))),
        (Where(cameras=[99]), torch.zeros(3000, dtype=torch.bool)),
    ]
    for where, mask in conditions:
        kept = mask.nonzero().squeeze(1)
        same(answer(store, query, 20, where), by_core(gallery, kept, query, 20, normalize=normalize))


@pytest.mark.usefixtures("_only_by_a_first_pass")
def test_rows_that_are_nearly_alike(tmp_path: Path) -> None:
    """Without a center, 8 bits could not tell one from another: the bound would keep all."""
    embedding = 1 + 1e-3 * torch.randn(2000, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    gallery = Embeddings(embedding, tuple(map(str, range(2000))))
    store = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    store.add(gallery, facts(gallery))
    query = embedding[:5] + 1e-4
    selection = store.select(Where())
    assert len(module._candidates(selection, query, 10, normalize=True)) < 300
    same(answer(store, query, 10), by_core(gallery, torch.arange(2000), query, 10, normalize=True))


@pytest.mark.usefixtures("_only_by_a_first_pass")
def test_many_rows_of_one_embedding_are_found_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 64)
    embedding = rows(3).embedding[torch.arange(500) % 3]
    gallery = Embeddings(embedding, tuple(map(str, range(500))))
    store = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    store.add(gallery, facts(gallery))
    found = answer(store, embedding[1:2], 6)
    assert found[0][0] == [1, 4, 7, 10, 13, 16]
    assert len(set(found[0][1])) == 1


@pytest.mark.usefixtures("_only_by_a_first_pass")
def test_a_first_pass_leaves_few_rows_and_no_hit_out(make: Callable[..., Store]) -> None:
    store = make(4000)
    query = rows(5, seed=44).embedding
    selection = store.select(Where())
    for one in query.split(1):
        kept = module._candidates(selection, one, 10, normalize=True)
        assert len(kept) < 100
        best = by_core(rows(4000), torch.arange(4000), one, 10, normalize=True)[0][0]
        assert set(best) <= set(kept.tolist())


def test_each_query_may_have_its_own_conditions(make: Callable[..., Store]) -> None:
    store = make(40)
    query = rows(3, seed=5).embedding
    each = [Where(cameras=[0]), Where(not_cameras=[0]), Where(cameras=[0])]
    together = store.search(query, 4, each)
    for number, hits in enumerate(together):
        alone = store.search(query[number : number + 1], 4, each[number])[0]
        assert [h.place for h in hits] == [h.place for h in alone]


def test_a_query_in_blocks_is_a_query(make: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(3000)
    query = rows(7, seed=5).embedding
    whole = answer(store, query, 5)
    monkeypatch.setattr(module, "CELLS", 6000)
    same(answer(store, query, 5), whole)


def test_numbers_that_overflow_are_the_error_of_the_core(tmp_path: Path) -> None:
    from dataclasses import replace

    from passerby.errors import ProtocolError

    store = filled(tmp_path / "g", 2500, origin=replace(ORIGIN, normalize=False))
    with pytest.raises(ProtocolError, match="too long"):
        store.search(1e30 * rows(1, seed=3).embedding, 2)
