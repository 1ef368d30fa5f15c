"""The ranking core: order, ties, blocks, and errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from passerby.errors import ProtocolError, ShapeError, UnknownNameError
from passerby.retrieval.distance import compare as compare_module
from passerby.retrieval.distance import dmli as dmli_module
from passerby.retrieval.distance import euclidean
from passerby.retrieval.distance.compare import (
    Comparison,
    DistanceMatrix,
    DistanceName,
    compare,
    compare_union,
    full_matrix,
)
from passerby.retrieval.distance.dmli import dmli
from passerby.retrieval.ranking import positive_ranks, query_distances, top_k
from passerby.retrieval.rerank import k_reciprocal, prepare
from passerby.types import Embeddings, Protocol, Rerank, Role


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def embeddings(
    features: Tensor,
    pids: list[int] | None = None,
    camids: list[int] | None = None,
    *,
    roles: list[Role] | None = None,
    local: Tensor | None = None,
) -> Embeddings:
    def column(values: list[int] | list[Role] | None) -> Tensor | None:
        return None if values is None else torch.tensor([int(v) for v in values], dtype=torch.int64)

    paths = tuple(f"{i}.jpg" for i in range(len(features)))
    return Embeddings(features, paths, column(pids), column(camids), column(roles), local)


def corners(codes: list[int]) -> Tensor:
    """Return codes below 16 as corners of a cube, of norm 1: arithmetic on them is exact, and many distances tie."""
    bits = torch.tensor(codes)[:, None] >> torch.arange(4) & 1
    return bits.double() - 0.5


CODES = st.integers(0, 15)


@given(st.lists(CODES, min_size=1, max_size=5), st.lists(CODES, min_size=1, max_size=24), st.data())
def test_top_k_is_the_head_of_the_full_stable_sort(query: list[int], gallery: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(gallery)))
    found = top_k(
        embeddings(corners(query)), embeddings(corners(gallery)), k, block_bytes=data.draw(st.integers(1, 9999))
    )
    for q, indices, distances in zip(query, found.indices, found.distances, strict=True):
        bits = [float((q ^ g).bit_count()) for g in gallery]  # each differing coordinate adds 1
        expected = sorted(range(len(gallery)), key=lambda j: (bits[j], j))[:k]
        assert indices.tolist() == expected
        assert distances.tolist() == [bits[j] for j in expected]


@pytest.mark.parametrize("name", ["global", "local", "global_local"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copies_in_the_gallery_tie_wherever_they_stand(name: DistanceName, dtype: torch.dtype) -> None:
    which = torch.randint(5, (203,), generator=torch.Generator().manual_seed(1))
    local = F.normalize(randn(5, 3, 17, seed=2), dim=2).to(dtype)[which]
    gallery = embeddings(randn(5, 17).to(dtype)[which], local=local)
    query = embeddings(randn(9, 17, seed=3).to(dtype), local=F.normalize(randn(9, 3, 17, seed=4), dim=2).to(dtype))
    for size in (1, 30_000, 2**26):
        for indices in top_k(query, gallery, 203, distance=name, block_bytes=size).indices:
            for copy in range(5):
                rows = indices[which[indices] == copy]
                assert torch.equal(rows, rows.sort().values)
                assert indices.tolist().index(int(rows[-1])) - indices.tolist().index(int(rows[0])) == len(rows) - 1


def test_copies_in_the_gallery_tie_in_the_ranks_too() -> None:
    # person 0's match stands among 200 copies of itself that are other people
    query = embeddings(randn(1, 17), [0], [0])
    for place in (0, 3, 150, 200):
        pids = [1] * 201
        pids[place] = 0
        gallery = embeddings(randn(1, 17, seed=5).expand(201, -1), pids, [1] * 201)
        assert positive_ranks(query, gallery, Protocol()).ranks.tolist() == [place + 1]


@pytest.mark.parametrize("name", ["global", "local", "global_local"])
def test_named_distances(name: DistanceName) -> None:
    x, y = F.normalize(randn(3, 4, 6, seed=1), dim=2), F.normalize(randn(5, 4, 6, seed=2), dim=2)
    a, b = 3 * randn(3, 7, seed=3), 5 * randn(5, 7, seed=4)
    whole = (F.normalize(a)[:, None] - F.normalize(b)[None]).pow(2).sum(2)
    expected = {"global": whole, "local": dmli(x, y), "global_local": whole + dmli(x, y)}[name]
    found = top_k(embeddings(a, local=x), embeddings(b, local=y), 5, distance=name)
    order = expected.argsort(1)
    assert torch.equal(found.indices, order)
    assert torch.allclose(found.distances, expected.gather(1, order), atol=1e-12)


@pytest.mark.parametrize("name", ["local", "global_local"])
def test_candidates_are_the_nearest_by_embedding(name: DistanceName) -> None:
    x, y = F.normalize(randn(3, 4, 6, seed=1), dim=2), F.normalize(randn(40, 4, 6, seed=2), dim=2)
    query, gallery = embeddings(randn(3, 7, seed=3), local=x), embeddings(randn(40, 7, seed=4), local=y)
    whole = top_k(query, gallery, 40, distance=name)
    all_of_them = top_k(query, gallery, 5, distance=name, candidates=40)
    assert torch.equal(all_of_them.indices, whole.indices[:, :5])
    assert torch.allclose(all_of_them.distances, whole.distances[:, :5])
    few = top_k(query, gallery, 5, distance=name, candidates=9)
    near = top_k(query, gallery, 9).indices
    for row in range(3):
        expected = [j for j in whole.indices[row].tolist() if j in near[row].tolist()]
        assert few.indices[row].tolist() == expected[:5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "local", "candidates": 2}, "between k = 3 and the gallery's 9, got 2"),
        ({"distance": "local", "candidates": 10}, "between k = 3 and the gallery's 9, got 10"),
        ({"candidates": 5}, "got distance 'global'. Fix: leave candidates out"),
        (
            {"distance": "local", "candidates": 5, "rerank": Rerank()},
            "got distance 'local', re-ranked. Fix: leave candidates out",
        ),
    ],
)
def test_invalid_candidates_raise(options: dict[str, Any], message: str) -> None:
    both = embeddings(randn(9, 7), local=F.normalize(randn(9, 4, 6), dim=2))
    with pytest.raises(ProtocolError, match=message):
        top_k(both, both, 3, **options)


@pytest.mark.parametrize("name", ["global", "local", "global_local"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_stored_but_computed_in_single(
    name: DistanceName, normalize: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(euclidean, "RUN", 7)
    x, y = (F.normalize(randn(n, 4, 6, seed=n), dim=2).float() for n in (5, 40))
    query = embeddings(1 + randn(5, 33, seed=1).float(), local=x)
    half = embeddings((1 + randn(40, 33, seed=2)).to(dtype), local=y.to(dtype))
    assert half.local is not None
    single = embeddings(half.embedding.float(), local=half.local.float())
    found, expected = (top_k(query, g, 40, distance=name, normalize=normalize) for g in (half, single))
    assert found.distances.dtype == torch.float32
    assert torch.allclose(found.distances, expected.distances, rtol=1e-5)
    assert torch.equal(found.indices, expected.indices)
    kept = compare(query, half, name, normalize=normalize).parts[0].y
    of_gallery = half.local if name == "local" else half.embedding
    assert (kept if isinstance(kept, Tensor) else kept.stored).data_ptr() == of_gallery.data_ptr()


@pytest.mark.parametrize("apart", [1e-3, 1e-2])
def test_embeddings_near_each_other_keep_their_order(apart: float) -> None:
    x, q = ((1 + apart * randn(n, 512, seed=n)).float() for n in (500, 40))
    found, exact = (top_k(embeddings(a), embeddings(b), 10) for a, b in ((q, x), (q.double(), x.double())))
    assert (found.indices == exact.indices).float().mean() > 0.99


def test_one_long_row_does_not_change_the_order_of_others() -> None:
    x, q = randn(500, 16, seed=1), randn(20, 16, seed=2)
    x[7] *= 1e7
    found, exact = (
        top_k(embeddings(a), embeddings(b), 10, normalize=False) for a, b in ((q.float(), x.float()), (q, x))
    )
    assert torch.equal(found.indices, exact.indices)


@pytest.mark.parametrize("factor", [1e-24, 1e19, 1e30])
def test_normalized_rows_may_have_any_norm(factor: float) -> None:
    x, q = randn(9, 4, seed=1).float(), randn(2, 4, seed=2).float()
    found, expected = (top_k(embeddings(f * q), embeddings(f * x), 9) for f in (factor, 1))
    assert torch.equal(found.indices, expected.indices)
    assert torch.allclose(found.distances, expected.distances, atol=1e-5)


def test_unnormalized_rows_that_would_overflow_raise() -> None:
    x = 1e19 * randn(9, 4, seed=1).float()
    for call in (
        lambda: top_k(embeddings(x[:2]), embeddings(x), 3, normalize=False),
        lambda: k_reciprocal(x[:2], x, normalize=False),
    ):
        with pytest.raises(ProtocolError, match=r"too long for distances of torch\.float32"):
            call()


def test_copies_tie_in_a_gallery_of_any_memory_layout() -> None:
    columns = randn(4, 9)
    columns[:, 5] = columns[:, 3]
    found = top_k(embeddings(randn(2, 4)), embeddings(columns.T), 9)
    assert [abs(row.index(5) - row.index(3)) for row in found.indices.tolist()] == [1, 1]


def test_embeddings_that_require_gradients_keep_no_graph() -> None:
    x = randn(9, 4).requires_grad_()
    assert not top_k(embeddings(x[:2]), embeddings(x), 3).distances.requires_grad
    assert not k_reciprocal(x[:2], x).requires_grad


@pytest.mark.usefixtures("_no_shape_checker")
def test_integer_embeddings_raise() -> None:
    with pytest.raises(ShapeError, match=r"got torch\.int64"):
        embeddings(torch.arange(12).view(4, 3))


@pytest.mark.parametrize("factor", [100.0, 0.5])
def test_stripes_that_are_not_normalized_raise(factor: float) -> None:
    local = F.normalize(randn(9, 4, 6), dim=2)
    with pytest.raises(ProtocolError, match=r"those of the gallery have norms of .* divide each by its norm"):
        top_k(
            embeddings(randn(2, 7), local=local[:2]), embeddings(randn(9, 7), local=factor * local), 3, distance="local"
        )


def test_half_precision_that_is_not_finite_raises() -> None:
    half = randn(9, 4).half()
    half[[2, 5]] = torch.inf
    for normalize in (True, False):
        with pytest.raises(ProtocolError, match="rows 2, 5"):
            top_k(embeddings(randn(2, 4).float()), embeddings(half), 3, normalize=normalize)


def test_ranks_by_hand() -> None:
    # distances to query corner 0:      1   1   1   2   2   3
    gallery = corners([0b0001, 0b0010, 0b0100, 0b0011, 0b0101, 0b0111])
    query = embeddings(corners([0, 0, 0]), [7, 8, 9], [0, 0, 0])
    labeled = embeddings(gallery, [5, 7, 7, 7, 5, 8], [1, 0, 1, 1, 1, 1], roles=[Role(r) for r in (0, 0, 0, 0, 1, 0)])
    found = positive_ranks(query, labeled, Protocol())
    # of person 7, row 1 is the same camera; row 4 is junk: valid are rows 0 2 3 5
    assert found.ranks.tolist() == [2, 3, 5]  # person 8's match: rows 0 1 2 3 stand before it
    assert found.counts.tolist() == [2, 1]
    assert found.queries.tolist() == [0, 1]
    assert found.dropped.tolist() == [2]
    all_cameras = positive_ranks(query, labeled, Protocol(ignore_same_camera=False))
    assert all_cameras.ranks.tolist() == [2, 3, 4, 5]


def test_a_distractor_that_shares_a_pid_is_no_match() -> None:
    query = embeddings(corners([0]), [0], [0])
    gallery = embeddings(
        corners([0, 1, 3]), [0, 0, 0], [0, 1, 1], roles=[Role.DISTRACTOR, Role.DISTRACTOR, Role.PERSON]
    )
    assert positive_ranks(query, gallery, Protocol()).ranks.tolist() == [3]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []

    block = Comparison.block

    def measured(self: Comparison, rows: Tensor) -> Tensor:
        blocks.append(len(rows))
        return block(self, rows)

    monkeypatch.setattr(Comparison, "block", measured)
    local = F.normalize(randn(100, 4, 6), dim=2)
    both = embeddings(randn(100, 8), [i % 5 for i in range(100)], [i % 2 for i in range(100)], local=local)
    positive_ranks(both, both, Protocol(ignore_same_camera=False), block_bytes=100 * 8 * 50)
    assert sum(blocks) == 100
    assert max(blocks) <= 17  # 8 bytes of distance and 16 of looking at a pair
    blocks.clear()
    tiles: list[int] = []

    def spy(x: Tensor, y: Tensor) -> Tensor:
        tiles.append(len(x) * len(y))
        return dmli(x, y)

    monkeypatch.setattr(dmli_module, "dmli", spy)
    top_k(both, both, 3, distance="local", block_bytes=100 * 8 * 50)
    assert sum(blocks) == 100
    assert max(blocks) <= 17
    assert sum(tiles) == 100 * 100
    assert max(tiles) <= 2048
    blocks.clear()
    top_k(both, both, 3, block_bytes=1)
    assert blocks == [1] * 100


@pytest.mark.parametrize("name", ["global", "local", "global_local"])
@pytest.mark.parametrize("copies", [False, True])
def test_the_full_matrix_equals_its_blocks(name: DistanceName, copies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "_SYMMETRIC", 7)
    rows = torch.arange(40) % 13 if copies else torch.arange(40)
    both = embeddings(randn(40, 7)[rows], local=F.normalize(randn(40, 4, 6), dim=2)[rows])
    among = compare_union(both[torch.arange(10)], both[torch.arange(10, 40)], name, normalize=True)
    whole = full_matrix(among).matrix
    assert torch.allclose(whole, among.block(torch.arange(40)), atol=1e-12)
    if copies:
        assert torch.equal(whole[:, :13], whole[:, 13:26])


def test_invalid_pids_and_roles_raise() -> None:
    query, gallery = embeddings(randn(1, 4), [1], [1]), embeddings(randn(3, 4), [1, -1, 2], [2, 2, 2])
    with pytest.raises(ProtocolError, match=r"1 of 3 gallery are people with a person ID below 0.* role JUNK"):
        positive_ranks(query, gallery, Protocol())
    junk = replace(gallery, roles=torch.tensor([0, 1, 0]))
    assert positive_ranks(query, junk, Protocol()).counts.tolist() == [1]
    with pytest.raises(ProtocolError, match="unknown roles: got 5, expected one of 0 PERSON, 1 JUNK, 2 DISTRACTOR"):
        positive_ranks(query, replace(gallery, roles=torch.tensor([0, 1, 5])), Protocol())


@pytest.mark.parametrize("k", [0, 6])
def test_k_outside_the_gallery_raises(k: int) -> None:
    with pytest.raises(ProtocolError, match=f"gallery's 5 images, got {k}"):
        top_k(embeddings(randn(2, 3)), embeddings(randn(5, 3)), k)


def labeled(n: int = 4, d: int = 3, **changes: Tensor | None) -> Embeddings:
    return replace(embeddings(randn(n, d), list(range(n)), [0] * n), **changes)  # type: ignore[arg-type]


FAULTS = {
    "no people": (labeled(pids=None), labeled(), Protocol(), ProtocolError, "needs the person IDs"),
    "no cameras": (labeled(), labeled(camids=None), Protocol(), ProtocolError, "ignore_same_camera=False"),
    "all same camera": (labeled(), labeled(), Protocol(), ProtocolError, "none of the 4 queries has a valid match"),
    "no queries": (labeled(0), labeled(), Protocol(), ProtocolError, "0 queries and 4 gallery"),
    "no gallery": (labeled(), labeled(0), Protocol(), ProtocolError, "4 queries and 0 gallery"),
    "other model": (labeled(), labeled(d=5), Protocol(), ShapeError, "3 dimensions, the gallery 5"),
    "NaN": (labeled(), labeled(embedding=torch.full((4, 3), torch.nan)), Protocol(), ProtocolError, "4 of 4"),
    "no stripes": (labeled(), labeled(), Protocol(distance="local"), ProtocolError, "stripe vectors"),
    "other stripes": (
        labeled(local=torch.ones(4, 2, 3)),
        labeled(local=torch.ones(4, 2, 5)),
        Protocol(distance="local"),
        ShapeError,
        r"\(2, 3\) .* \(2, 5\)",
    ),
    "NaN stripes": (
        labeled(local=torch.ones(4, 2, 3)),
        labeled(local=torch.full((4, 2, 3), torch.nan)),
        Protocol(distance="global_local"),
        ProtocolError,
        "4 of 4",
    ),
    "unknown distance": (labeled(), labeled(), Protocol(distance="locl"), UnknownNameError, "mean .*local"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("fault", FAULTS)
def test_inputs_that_cannot_be_ranked_raise(fault: str) -> None:
    query, gallery, protocol, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        positive_ranks(query, gallery, protocol)


def test_cameras_are_not_needed_where_the_protocol_ignores_them() -> None:
    both = labeled(camids=None)
    assert positive_ranks(both, both, Protocol(ignore_same_camera=False)).ranks.tolist() == [1, 1, 1, 1]


def test_embeddings_may_be_compared_without_normalization() -> None:
    """Embeddings near each other and far from the origin, where float32 would lose their differences, rank exactly."""
    query, gallery = (100 + randn(n, 6, seed=n) for n in (4, 30))
    literal = [[sum((a - b) ** 2 for a, b in zip(q, g, strict=True)) for g in gallery.tolist()] for q in query.tolist()]
    found = top_k(embeddings(query.float()), embeddings(gallery.float()), 30, normalize=False)
    for distances, indices, exact in zip(found.distances, found.indices, literal, strict=True):
        assert indices.tolist() == sorted(range(30), key=exact.__getitem__)
        assert distances.tolist() == pytest.approx(sorted(exact), rel=1e-3)
    normalized = top_k(embeddings(query), embeddings(gallery), 30)
    assert not torch.equal(found.indices, normalized.indices)


def test_the_protocol_decides_about_normalization() -> None:
    query = embeddings(torch.tensor([[1.0, 0.0]]), [1], [1])
    gallery = embeddings(torch.tensor([[9.0, 0.0], [1.0, 0.5]]), [1, 2], [2, 2])
    assert positive_ranks(query, gallery, Protocol()).ranks.tolist() == [1]
    assert positive_ranks(query, gallery, Protocol(normalize=False)).ranks.tolist() == [2]


def test_unnormalized_embeddings_must_be_finite() -> None:
    broken = embeddings(torch.full((2, 3), torch.nan))
    with pytest.raises(ProtocolError, match="2 of 2 embeddings are not finite"):
        top_k(broken, embeddings(randn(5, 3).float()), 1, normalize=False)
    with pytest.raises(ShapeError, match="3 dimensions, the gallery 4"):
        top_k(embeddings(randn(2, 3)), embeddings(randn(5, 4)), 1, normalize=False)


@pytest.mark.parametrize("distance", ["global", "local", "global_local"])
def test_re_ranked_distances_are_those_of_the_union(distance: DistanceName) -> None:
    local = F.normalize(randn(40, 3, 6, seed=1), dim=2)
    both = embeddings(randn(40, 4), [i % 6 for i in range(40)], [0] * 40, local=local)
    query, gallery = both[torch.arange(15)], both[torch.arange(15, 40)]
    among = top_k(both, both, 40, distance=distance)
    matrix = torch.zeros(40, 40, dtype=torch.float64).scatter_(1, among.indices, among.distances)
    rerank = Rerank(k1=6, k2=3, lam=0.4)
    expected = torch.cat([block for _, block in prepare(DistanceMatrix(matrix), 15, rerank).blocks()])
    found = top_k(query, gallery, 25, distance=distance, rerank=rerank)
    assert torch.allclose(torch.zeros(15, 25).double().scatter_(1, found.indices, found.distances), expected, atol=1e-9)
    ranks = positive_ranks(query, gallery, Protocol(distance=distance, rerank=rerank, ignore_same_camera=False))
    first = [expected[i].argsort(stable=True) for i in range(15)]
    assert gallery.pids is not None
    by_hand = [(gallery.pids[order] == i % 6).nonzero().squeeze(1) + 1 for i, order in enumerate(first)]
    assert torch.equal(ranks.ranks, torch.cat(by_hand))


@pytest.mark.parametrize("rerank", [None, Rerank(k1=4, k2=2)])
def test_query_distances_are_those_of_the_ranking(rerank: Rerank | None) -> None:
    query, gallery = embeddings(randn(9, 5).float()), embeddings(randn(20, 5, seed=1).float())
    protocol, rows = Protocol(rerank=rerank), torch.tensor([7, 2])
    whole = top_k(query, gallery, 20, rerank=rerank, block_bytes=3000)
    found = dict(query_distances(rows, query, gallery, protocol, block_bytes=3000))
    assert list(found) == [2, 7]  # in the blocks' order
    for row, distances in found.items():
        assert torch.equal(distances[whole.indices[row]], whole.distances[row])
