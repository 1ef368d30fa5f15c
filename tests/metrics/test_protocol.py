"""The evaluation against a naive evaluator: plain Python, one query after another, fully sorted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from passerby.errors import ProtocolError, UnknownNameError
from passerby.metrics.protocol import evaluate_embeddings
from passerby.types import Embeddings, EvalResult, Protocol, Rerank, Role


def make(features: Tensor, people: list[tuple[int, int, Role]]) -> Embeddings:
    """Return embeddings of (pid, camid, role) rows."""
    pids, camids, roles = (torch.tensor([int(p[i]) for p in people]) for i in range(3))
    return Embeddings(features, tuple(str(i) for i in range(len(people))), pids, camids, roles)


def squared(a: list[float], b: list[float], *, normalize: bool) -> float:
    if normalize:
        a, b = [v / math.hypot(*a) for v in a], [v / math.hypot(*b) for v in b]
    return sum((v - w) ** 2 for v, w in zip(a, b, strict=True))


def naive(query: Embeddings, gallery: Embeddings, protocol: Protocol, max_rank: int) -> dict[str, object]:
    """Return the same numbers by their definitions."""
    columns = [(e.pids.tolist(), e.camids.tolist(), e.roles.tolist()) for e in (query, gallery)]  # type: ignore[union-attr]
    (q_pids, q_cams, q_roles), (g_pids, g_cams, g_roles) = columns
    aps, inps, firsts = [], [], []
    for q, feature in enumerate(query.embedding.tolist()):
        distances = [squared(feature, other, normalize=protocol.normalize) for other in gallery.embedding.tolist()]
        hits = []
        for j in sorted(range(len(gallery)), key=lambda j: (distances[j], j)):
            person = q_roles[q] == Role.PERSON and g_roles[j] == Role.PERSON and q_pids[q] == g_pids[j]
            if g_roles[j] == Role.JUNK or (protocol.ignore_same_camera and person and q_cams[q] == g_cams[j]):
                continue
            hits.append(person)
        if not any(hits):
            continue
        places = [i + 1 for i, hit in enumerate(hits) if hit]
        firsts.append(places[0])
        inps.append(len(places) / places[-1])
        precision = [0.0 if i == 0 else sum(hits[:i]) / i for i in range(len(hits) + 1)]
        before = [1.0, *precision[1:]]
        step = protocol.average_precision == "step"
        terms = [precision[r] if step else (precision[r] + before[r - 1]) / 2 for r in places]
        aps.append(sum(terms) / len(terms))
    n = len(aps)
    return {
        "queries": n,
        "dropped": len(query) - n,
        "cmc": [sum(f <= k for f in firsts) / n for k in range(1, max_rank + 1)] if n else [],
        "mean_ap": sum(aps) / n if n else math.nan,
        "minp": sum(inps) / n if n else math.nan,
    }


def assert_same(result: EvalResult, expected: dict[str, object]) -> None:
    assert result.queries == expected["queries"]
    assert result.queries_dropped == expected["dropped"]
    assert list(result.cmc) == pytest.approx(expected["cmc"], abs=1e-12)
    assert result.mean_ap == pytest.approx(expected["mean_ap"], abs=1e-12)
    assert result.minp == pytest.approx(expected["minp"], abs=1e-12)


PROTOCOLS = st.builds(
    Protocol, average_precision=st.sampled_from(["step", "trapezoid"]), ignore_same_camera=st.booleans()
)
PEOPLE = st.tuples(
    st.integers(0, 3), st.integers(0, 2), st.sampled_from([Role.PERSON] * 4 + [Role.JUNK, Role.DISTRACTOR])
)


def corners(codes: list[int]) -> Tensor:
    """Return corners of a cube of side 1, of norm 1: distances are exact and many are equal."""
    return ((torch.tensor(codes)[:, None] >> torch.arange(4)) & 1).double() - 0.5


@st.composite
def tied(draw: st.DrawFn, longest: int) -> Embeddings:
    rows = draw(st.lists(st.tuples(st.integers(0, 15), PEOPLE), min_size=1, max_size=longest))
    return make(corners([code for code, _ in rows]), [person for _, person in rows])


@st.composite
def on_a_grid(draw: st.DrawFn, longest: int) -> Embeddings:
    """Return integers in three dimensions, to compare unnormalized: distances are integers, and many are equal."""
    numbers = st.tuples(*[st.integers(-2, 2)] * 3)
    rows = draw(st.lists(st.tuples(numbers, PEOPLE), min_size=1, max_size=longest))
    return make(torch.tensor([point for point, _ in rows]).double(), [person for _, person in rows])


def is_of_one_person(gallery: Embeddings) -> bool:
    """Return whether every image that counts shows the same person; every distractor is another one."""
    assert gallery.roles is not None
    assert gallery.pids is not None
    rows = enumerate(zip(gallery.pids.tolist(), gallery.roles.tolist(), strict=True))
    return len({(role, pid if role == Role.PERSON else row) for row, (pid, role) in rows if role != Role.JUNK}) < 2


def check(query: Embeddings, gallery: Embeddings, protocol: Protocol, block_bytes: int, dtype: torch.dtype) -> None:
    assert gallery.roles is not None
    valid = int((gallery.roles != Role.JUNK).sum())
    expected = naive(query, gallery, protocol, min(50, valid))
    query, gallery = (replace(side, embedding=side.embedding.to(dtype)) for side in (query, gallery))
    if not expected["queries"]:
        with pytest.raises(ProtocolError, match="has a valid match"):
            evaluate_embeddings(query, gallery, protocol, block_bytes=block_bytes)
        return
    if is_of_one_person(gallery):
        with pytest.raises(ProtocolError, match="shows one person only"):
            evaluate_embeddings(query, gallery, protocol, block_bytes=block_bytes)
        return
    result = evaluate_embeddings(query, gallery, protocol, block_bytes=block_bytes)
    assert_same(result, expected)
    assert result.gallery == valid
    assert result.details == {"gallery_junk": len(gallery) - valid}


DTYPES = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16])


@settings(max_examples=250, deadline=None)
@given(tied(5), tied(25), PROTOCOLS, st.integers(1, 20_000), DTYPES)
def test_equals_the_naive_evaluator_where_many_tie(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, block_bytes: int, dtype: torch.dtype
) -> None:
    check(query, gallery, protocol, block_bytes, dtype)


@settings(max_examples=250, deadline=None)
@given(on_a_grid(5), on_a_grid(25), PROTOCOLS, st.integers(1, 20_000), DTYPES)
def test_equals_the_naive_evaluator_of_unnormalized_embeddings(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, block_bytes: int, dtype: torch.dtype
) -> None:
    check(query, gallery, replace(protocol, normalize=False), block_bytes, dtype)


def spread(n: int, *, seed: int, d: int = 12) -> Embeddings:
    """Return random people, cameras and roles, around one center per person; no two distances are equal."""
    draw = torch.Generator().manual_seed(seed)
    pids, camids = torch.randint(6, (n,), generator=draw), torch.randint(3, (n,), generator=draw)
    centers = torch.randn(6, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    features = centers[pids] + torch.randn(n, d, generator=draw, dtype=torch.float64)
    roles = torch.tensor([0, 0, 0, 0, 1, 2])[torch.randint(6, (n,), generator=draw)]
    return Embeddings(features, ("",) * n, pids, camids, roles)


@pytest.mark.parametrize("kind", ["step", "trapezoid"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_the_naive_evaluator_on_real_numbers(seed: int, kind: str) -> None:
    query, gallery = spread(15, seed=seed), spread(60, seed=seed + 100)
    protocol = Protocol(average_precision=kind)  # type: ignore[arg-type]
    for size in (1, 5000, 2**26):
        assert_same(
            evaluate_embeddings(query, gallery, protocol, max_rank=20, block_bytes=size),
            naive(query, gallery, protocol, 20),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rotating_the_embeddings_changes_nothing(dtype: torch.dtype) -> None:
    query, gallery = spread(15, seed=1), spread(60, seed=2)
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)).Q
    plain, turned = (
        evaluate_embeddings(*(replace(e, embedding=(e.embedding @ m).to(dtype)) for e in (query, gallery)))
        for m in (torch.eye(12, dtype=torch.float64), rotation)
    )
    assert turned == plain


@settings(max_examples=40)
@given(tied(4), tied(15), st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3), st.integers(0, 2)), max_size=9))
def test_junk_rows_change_nothing(query: Embeddings, gallery: Embeddings, junk: list[tuple[int, int, int]]) -> None:
    try:
        before = evaluate_embeddings(query, gallery)
    except ProtocolError:
        assume(False)
    rest = (
        make(corners([c for c, _, _ in junk]), [(p, c, Role.JUNK) for _, p, c in junk])
        if junk
        else gallery[torch.arange(0)]
    )
    sides = [(e.embedding, e.pids, e.camids, e.roles) for e in (rest, gallery)]
    features, pids, camids, roles = (torch.cat(c) for c in zip(*sides, strict=True))  # type: ignore[arg-type]
    after = evaluate_embeddings(query, Embeddings(features, ("",) * len(features), pids, camids, roles))
    assert after.cmc == before.cmc
    assert (after.mean_ap, after.minp, after.gallery) == (before.mean_ap, before.minp, before.gallery)


def test_people_of_a_single_camera_are_dropped_and_counted() -> None:
    P = Role.PERSON
    query = make(corners([0, 1]), [(1, 0, P), (2, 0, P)])
    gallery = make(corners([0, 1, 3]), [(1, 1, P), (2, 0, P), (9, 0, P)])
    result = evaluate_embeddings(query, gallery)
    assert (result.queries, result.queries_dropped, result.rank1, result.mean_ap) == (1, 1, 1.0, 1.0)
    assert len(result.cmc) == 3  # never longer than the gallery


def test_the_result_carries_its_protocol_and_the_default_is_market() -> None:
    both = spread(30, seed=1)
    assert evaluate_embeddings(both, both).protocol == Protocol()
    other = Protocol(average_precision="trapezoid", ignore_same_camera=False)
    assert evaluate_embeddings(both, both, other).protocol == other


def test_max_rank_is_at_least_one() -> None:
    both = spread(30, seed=1)
    assert len(evaluate_embeddings(both, both, max_rank=7).cmc) == 7
    with pytest.raises(ProtocolError, match="max_rank must be at least 1, got 0"):
        evaluate_embeddings(both, both, max_rank=0)


def test_an_unknown_average_precision_raises() -> None:
    both = spread(30, seed=1)
    with pytest.raises(UnknownNameError, match="Did you mean step"):
        evaluate_embeddings(both, both, Protocol(average_precision="steps"))  # type: ignore[arg-type]


def test_a_gallery_of_one_person_says_nothing() -> None:
    P = Role.PERSON
    query, one = make(corners([0, 1]), [(1, 0, P), (2, 0, P)]), make(corners([0, 1]), [(1, 1, P), (1, 2, P)])
    for protocol in (Protocol(), Protocol(draws=3), Protocol(rerank=Rerank(1, 1))):
        with pytest.raises(ProtocolError, match=r"the gallery \(2 images\) shows one person only"):
            evaluate_embeddings(query, one, protocol)
    evaluate_embeddings(query, make(corners([0, 1]), [(1, 1, P), (1, 1, Role.DISTRACTOR)]))


def test_unknown_cameras_are_not_the_same_camera() -> None:
    P = Role.PERSON
    query, gallery = make(corners([0]), [(1, -1, P)]), make(corners([0, 3, 1]), [(1, -1, P), (1, 2, P), (2, 1, P)])
    with pytest.raises(ProtocolError, match="1 of 1 queries have a camera ID below 0, which data sets use for an unkn"):
        evaluate_embeddings(query, gallery)
    known = make(corners([0]), [(1, 5, P)])
    with pytest.raises(ProtocolError, match="1 of 3 gallery images have a camera ID below 0"):
        evaluate_embeddings(known, gallery)
    assert evaluate_embeddings(query, gallery, Protocol(ignore_same_camera=False)).rank1 == 1.0
    junk = make(corners([0, 3, 1]), [(1, -1, Role.JUNK), (1, 2, P), (2, 1, P)])
    assert evaluate_embeddings(known, junk).queries == 1
