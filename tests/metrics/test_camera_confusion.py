"""The confusion by camera against a sort of each query's whole gallery."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import torch

from passerby.errors import ProtocolError
from passerby.metrics.camera_confusion import CameraConfusion, camera_confusion
from passerby.types import Embeddings, Protocol, Rerank, Role


def crowd(n: int, seed: int, *, ties: bool = False) -> Embeddings:
    draw = torch.Generator().manual_seed(seed)
    pids, camids = torch.randint(4, (n,), generator=draw), torch.randint(3, (n,), generator=draw) * 2
    centers = torch.randn(4, 3, generator=torch.Generator().manual_seed(9)).double()
    features = centers[pids] + torch.randn(n, 3, generator=draw)
    if ties:
        features = torch.nn.functional.one_hot(features.argmax(dim=1), 3).double()
    roles = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), n, replacement=True, generator=draw)
    return Embeddings(features, tuple(map(str, range(n))), pids, camids, roles)


def literal(query: Embeddings, gallery: Embeddings, *, across: bool) -> CameraConfusion:
    sides = [
        list(zip(e.embedding, e.pids.tolist(), e.camids.tolist(), e.roles.tolist(), strict=True))  # type: ignore[union-attr]
        for e in (query, gallery)
    ]
    first, before, queries = Counter[tuple[int, int]](), Counter[tuple[int, int]](), defaultdict[int, int](int)
    for x, pid, camera, role in sides[0]:
        ranked = []
        for place, (y, other, where, kind) in enumerate(sides[1]):
            mine = role == kind == Role.PERSON and pid == other
            if kind != Role.JUNK and not (across and mine and camera == where):
                ranked.append(((x - y).pow(2).sum().item(), place, mine, where))
        ranked.sort()
        if not any(mine for *_, mine, _ in ranked):
            continue
        queries[camera] += 1
        first[camera, next(where for *_, mine, where in ranked if not mine)] += 1
        until = next(i for i, (*_, mine, _) in enumerate(ranked) if mine)
        for where in {where for *_, where in ranked[:until]}:
            before[camera, where] += 1
    asked, seen = sorted(queries), sorted({where for _, _, where, _ in sides[1]})
    tables = [torch.tensor([[c[a, s] / queries[a] for s in seen] for a in asked]).double() for c in (first, before)]
    counted = Counter(where for *_, where, kind in sides[1] if kind != Role.JUNK)
    shares = torch.tensor([counted[s] / counted.total() for s in seen]).double()
    return CameraConfusion(tuple(asked), tuple(seen), torch.tensor([queries[a] for a in asked]), *tables, shares)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("ties", [True, False])
def test_confusion_equals_a_literal_loop(ties: bool, across: bool) -> None:
    query, gallery = crowd(30, 1, ties=ties), crowd(50, 2, ties=ties)
    how = Protocol(normalize=False, ignore_same_camera=across)
    expected = literal(query, gallery, across=across)
    for block_bytes in (3_000, 10**6):
        found = camera_confusion(query, gallery, how, block_bytes=block_bytes)
        assert (
            (found.query_cameras, found.gallery_cameras)
            == (expected.query_cameras, expected.gallery_cameras)
            == ((0, 2, 4), (0, 2, 4))
        )
        assert torch.equal(found.queries, expected.queries)
        for name in ("first_wrong", "before", "gallery"):
            assert torch.allclose(getattr(found, name), getattr(expected, name), atol=1e-7), name
        assert torch.allclose(found.first_wrong.sum(1), torch.ones(3).double())
    assert expected.before.sum() > 0


def test_embeddings_of_backgrounds_are_confused_by_their_own_camera() -> None:
    """The embeddings encode the camera and not the person."""
    query, gallery = crowd(30, 1), crowd(60, 2)
    assert query.camids is not None
    assert gallery.camids is not None
    where = [torch.nn.functional.one_hot(side.camids, 5).double() for side in (query, gallery)]  # type: ignore[arg-type]
    sides = (Embeddings(f, s.paths, s.pids, s.camids) for f, s in zip(where, (query, gallery), strict=True))
    found = camera_confusion(*sides, Protocol())
    assert torch.equal(found.first_wrong, torch.eye(3).double())
    assert torch.equal(found.before.diagonal(), torch.ones(3).double())


def test_re_ranking_changes_the_confusion() -> None:
    query, gallery = crowd(30, 1), crowd(50, 2)
    plain, again = (camera_confusion(query, gallery, Protocol(rerank=r)) for r in (None, Rerank(k1=4, k2=2)))
    assert torch.equal(plain.queries, again.queries)
    assert not torch.equal(plain.before, again.before)


def test_inputs_that_cannot_be_counted_raise() -> None:
    some = crowd(30, 1)
    with pytest.raises(ProtocolError, match="needs the camera IDs"):
        camera_confusion(some, Embeddings(some.embedding, some.paths, some.pids), Protocol())
    with pytest.raises(ProtocolError, match="set draws to 0"):
        camera_confusion(some, some, Protocol(draws=3))
    alone = Embeddings(torch.eye(2), ("a", "b"), torch.tensor([1, 1]), torch.tensor([0, 1]))
    with pytest.raises(ProtocolError, match="no other person"):
        camera_confusion(alone, alone, Protocol())
    others = Embeddings(torch.eye(2), ("a", "b"), torch.tensor([1, 2]), torch.tensor([0, 0]))
    with pytest.raises(ProtocolError, match="no query has a valid match"):
        camera_confusion(others, others, Protocol())
