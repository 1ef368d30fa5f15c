from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from passerby.errors import ProtocolError
from passerby.retrieval.distance import euclidean
from passerby.retrieval.distance.compare import DistanceName, PreparedGallery, compare
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Rerank


def embeddings(n: int, *, seed: int, dtype: torch.dtype = torch.float32) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    local = torch.nn.functional.normalize(torch.randn(n, 4, 6, generator=generator), dim=2)
    whole = torch.randn(n, 16, generator=generator).relu().to(dtype)
    return Embeddings(whole, tuple(map(str, range(n))), local=local.to(dtype))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("distance", get_args(DistanceName))
def test_searches_of_a_prepared_gallery_are_bit_for_bit_those_of_its_embeddings(
    distance: DistanceName, dtype: torch.dtype, normalize: bool
) -> None:
    gallery = embeddings(60, seed=1, dtype=dtype)
    gallery = Embeddings.concatenate([gallery, gallery[torch.tensor([7, 7, 3])]])  # copies tie
    prepared = PreparedGallery(gallery)
    for seed in range(2, 5):
        query = embeddings(2, seed=seed, dtype=dtype)
        found = top_k(query, prepared, 20, distance=distance, normalize=normalize)
        expected = top_k(query, gallery, 20, distance=distance, normalize=normalize)
        assert torch.equal(found.indices, expected.indices)
        assert torch.equal(found.distances, expected.distances)


@pytest.mark.parametrize("options", [{"rerank": Rerank(5, 3)}, {"candidates": 30, "distance": "global_local"}])
def test_a_prepared_gallery_is_re_ranked_and_searched_among_candidates_as_its_embeddings_are(
    options: dict[str, Any],
) -> None:
    query, gallery = embeddings(3, seed=0), embeddings(60, seed=1)
    found, expected = (top_k(query, side, 9, **options) for side in (PreparedGallery(gallery), gallery))
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.distances, expected.distances)


def test_a_gallery_compared_with_itself_has_a_zero_diagonal_when_prepared_too() -> None:
    gallery = embeddings(20, seed=1)
    found = compare(gallery, PreparedGallery(gallery), "global", normalize=True).block(torch.arange(20))
    assert torch.equal(found, compare(gallery, gallery, "global", normalize=True).block(torch.arange(20)))
    assert not found.diagonal().any()


def test_a_prepared_gallery_is_worked_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[int] = []
    norms = euclidean.row_norms
    monkeypatch.setattr(euclidean, "row_norms", lambda rows: (worked.append(len(rows)), norms(rows))[1])
    prepared = PreparedGallery(embeddings(50, seed=1))
    sides = [compare(embeddings(1, seed=n), prepared, "global_local", normalize=True) for n in range(2, 6)]
    assert worked.count(50) == 1  # the gallery's; the others are those of a query
    for name in ("parts", "original"):
        first, *others = (getattr(side, name) for side in sides)
        columns = [first[0].y, first[1].y] if name == "parts" else [first]
        for other in others:
            assert all(
                a is b for a, b in zip(columns, [p.y for p in other] if name == "parts" else [other], strict=True)
            )


@pytest.mark.parametrize("normalize", [True, False])
def test_a_prepared_gallery_raises_what_its_embeddings_raise(normalize: bool) -> None:
    broken = embeddings(5, seed=1)
    broken.embedding[3, 2] = torch.nan
    prepared = PreparedGallery(broken)
    for _ in range(2):  # also at the second search
        with pytest.raises(ProtocolError, match=r"1 of 5 embeddings are .*not finite \(rows 3\)"):
            top_k(embeddings(1, seed=2), prepared, 2, normalize=normalize)
