"""Ranked lists: which images count, true and false matches, and the same numbers as an evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from passerby.data.attributes.query import AttributeQuery
from passerby.data.attributes.schema import Attribute, Schema
from passerby.errors import ConfigError, ProtocolError, UnknownNameError
from passerby.explain.ranked_lists import RankedList, ranked_lists, select_queries
from passerby.metrics.calibration import Calibration
from passerby.metrics.held_out import calibrate_embeddings
from passerby.metrics.protocol import evaluate_embeddings
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Protocol, Rerank, Role

UNNORMALIZED = Protocol(normalize=False)
WEAR = Schema(
    "wear",
    (Attribute("hat", ("no", "yes"), ("hat",)), Attribute("color", ("red", "blue"), ("color",))),
    ("hat", "color"),
)


def side(
    places: list[float], pids: list[int], camids: list[int], *, roles: list[Role] | None = None, name: str = "g"
) -> Embeddings:
    """Return people on a line: distances are squares of differences."""
    paths = tuple(f"{name}/{row:04}.jpg" for row in range(len(places)))
    roles = roles or [Role.PERSON] * len(places)
    return Embeddings(
        torch.tensor(places, dtype=torch.float32)[:, None],
        paths,
        *map(torch.tensor, (pids, camids, [*map(int, roles)])),
    )


QUERY = side([0.0, 10.0], [1, 7], [1, 1], name="q")
GALLERY = side(
    [1, 2, 3, 4, 5, 6],
    [1, 9, 2, 1, 0, 1],
    [1, 2, 2, 2, 3, 3],
    roles=[Role.PERSON, Role.JUNK, Role.PERSON, Role.PERSON, Role.DISTRACTOR, Role.PERSON],
)


def crowd(people: int = 8, *, seed: int = 0, noise: float = 1.0) -> tuple[Embeddings, Embeddings]:
    """Return images of every person by three cameras, some junk, and a duplicate that ties."""
    draw = torch.Generator().manual_seed(seed)
    centers = torch.randn(people, 6, generator=draw)

    def seen(cameras: list[int], name: str) -> Embeddings:
        pids, camids = torch.arange(people).repeat(len(cameras)), torch.tensor(cameras).repeat_interleave(people)
        features = centers[pids] + noise * torch.randn(len(pids), 6, generator=draw)
        roles = torch.zeros_like(pids)
        return Embeddings(features, tuple(f"{name}/{row:04}.jpg" for row in range(len(pids))), pids, camids, roles)

    query, gallery = seen([0, 1], "q"), seen([0, 1, 2], "g")
    assert gallery.roles is not None
    gallery.embedding[5] = gallery.embedding[4]
    gallery.roles[[1, people + 2]] = int(Role.JUNK)
    return query, gallery


def listed(found: RankedList) -> list[tuple[int | None, str, float]]:
    return [(hit.rank, hit.outcome, hit.distance) for hit in found.hits]


def test_ranks_count_what_the_protocol_counts() -> None:
    (found,) = ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([0]))
    assert listed(found) == [
        (1, "false match", 9.0),
        (2, "true match", 16.0),
        (3, "false match", 25.0),
        (4, "true match", 36.0),
    ]
    assert (found.path, found.pid, found.camid) == ("q/0000.jpg", 1, 1)
    assert [(hit.path, hit.pid, hit.camid) for hit in found.hits][1] == ("g/0003.jpg", 1, 2)
    assert (found.num_matches, found.ranks, found.remaining, found.gallery_size) == (2, (2, 4), 4, 4)
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_what_it_ignores_is_shown_where_asked_for_and_takes_no_rank() -> None:
    (found,) = ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([0]), k=4, junk=True)
    assert listed(found) == [(None, "junk", 1.0), (None, "junk", 4.0), (1, "false match", 9.0), (2, "true match", 16.0)]
    (found,) = ranked_lists(
        QUERY, GALLERY, replace(UNNORMALIZED, ignore_same_camera=False), torch.tensor([0]), junk=True
    )
    assert listed(found)[:2] == [(1, "true match", 1.0), (None, "junk", 4.0)]
    assert found.ranks == (1, 3, 5)


def test_a_list_keeps_the_roles_of_its_hits() -> None:
    (one,) = ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([0]), k=6, junk=True)
    assert GALLERY.roles is not None
    roles = dict(zip(GALLERY.paths, GALLERY.roles.tolist(), strict=True))
    assert {hit.path: int(hit.role) for hit in one.hits} == roles


def test_a_query_without_a_true_match_has_no_precision() -> None:
    (found,) = ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([1]))
    assert (found.average_precision, found.num_matches, found.ranks) == (None, 0, ())
    assert {hit.outcome for hit in found.hits} == {"false match"}
    assert select_queries(QUERY, GALLERY, UNNORMALIZED, "worst").tolist() == [0]
    assert select_queries(QUERY, GALLERY, UNNORMALIZED, "random").tolist() == [0]


@pytest.mark.parametrize("rerank", [None, Rerank(k1=4, k2=2)])
@pytest.mark.parametrize("kind", ["step", "trapezoid"])
def test_what_is_shown_is_what_is_measured(rerank: Rerank | None, kind: str) -> None:
    query, gallery = crowd()
    protocol = Protocol(rerank=rerank, average_precision="trapezoid" if kind == "trapezoid" else "step")
    each = evaluate_embeddings(query, gallery, protocol).per_query
    assert each is not None
    rows = torch.arange(len(query)).flip(0)
    lists = {found.path: found for found in ranked_lists(query, gallery, protocol, rows, k=len(gallery))}
    assert list(lists) == [query.paths[row] for row in rows]
    for i, path in enumerate(each.paths):
        found = lists[path]
        assert found.average_precision == pytest.approx(each.average_precision[i].item(), abs=1e-12)
        assert (found.ranks[0], found.num_matches) == (each.first_rank[i], each.matches[i])
        assert tuple(hit.rank for hit in found.hits if hit.outcome == "true match") == found.ranks
        assert [hit.rank for hit in found.hits] == list(range(1, found.gallery_size + 1))


@pytest.mark.parametrize("rerank", [None, Rerank(k1=4, k2=2)])
def test_the_order_is_that_of_a_search(rerank: Rerank | None) -> None:
    query, gallery = crowd()
    protocol = Protocol(rerank=rerank, ignore_same_camera=False)
    lists = ranked_lists(query, gallery, protocol, torch.tensor([3]), k=7, junk=True)
    ranking = top_k(query, gallery, 7, rerank=rerank)
    assert [hit.path for hit in lists[0].hits] == [gallery.paths[i] for i in ranking.indices[3]]
    assert torch.equal(torch.tensor([hit.distance for hit in lists[0].hits]), ranking.distances[3])


def test_best_and_worst_are_those_of_the_evaluation() -> None:
    query, gallery = crowd(20, noise=1.5)
    each = evaluate_embeddings(query, gallery, Protocol()).per_query
    assert each is not None
    precision = dict(zip(each.paths, each.average_precision.tolist(), strict=True))
    ordered = sorted(precision.values())
    worst = select_queries(query, gallery, Protocol(), "worst", 4)
    best = select_queries(query, gallery, Protocol(), "best", 4)
    assert [precision[query.paths[row]] for row in worst] == ordered[:4]
    assert [precision[query.paths[row]] for row in best] == ordered[::-1][:4]
    assert len(select_queries(query, gallery, Protocol(), "worst", 999)) == len(each)


def test_random_ones_and_who_comes_first_among_equals_follow_the_seed() -> None:
    query, gallery = crowd(20, noise=0.001)  # every person is found first
    for which in ("random", "best"):
        drawn = [tuple(select_queries(query, gallery, Protocol(), which, 5, seed=seed).tolist()) for seed in (0, 0, 1)]  # type: ignore[arg-type]
        assert drawn[0] == drawn[1] != drawn[2]
        assert len(set(drawn[0])) == 5


def test_queries_by_name() -> None:
    query, gallery = crowd()
    assert select_queries(query, gallery, Protocol(), ["q/0003.jpg", "0001.jpg"]).tolist() == [3, 1]
    with pytest.raises(UnknownNameError, match=r"unknown query '0003\.png'\. Did you mean q/0003\.jpg"):
        select_queries(query, gallery, Protocol(), ["0003.png"])
    many = replace(query, paths=tuple(f"query/{place:04}_c1s1_000001_00.jpg" for place in range(len(query))))
    with pytest.raises(UnknownNameError, match=r"Did you mean worst\?"):
        select_queries(many, gallery, Protocol(), ["worts"])
    with pytest.raises(ConfigError, match="'worst' cannot be combined"):
        select_queries(many, gallery, Protocol(), [many.paths[0], "worst"])
    twice = replace(query, paths=("a/x.jpg", "b/x.jpg", *query.paths[2:]))
    with pytest.raises(ConfigError, match=r"2 queries are called x\.jpg"):
        select_queries(twice, gallery, Protocol(), ["x.jpg"])


def test_what_cannot_be_listed() -> None:
    query, gallery = crowd()
    rows = torch.tensor([0])
    unmatched = replace(gallery, pids=torch.full_like(query.pids[:1], 99).expand(len(gallery)))  # type: ignore[index]
    with pytest.raises(ProtocolError, match="none of the 16 queries has a valid match"):
        select_queries(query, unmatched, Protocol(), "worst")
    with pytest.raises(ProtocolError, match="unlabeled"):
        ranked_lists(query, replace(gallery, pids=None), Protocol(), rows)
    for k in (0, len(gallery) + 1):
        with pytest.raises(ProtocolError, match=f"k must be between 1 and the gallery's 24 images, got {k}"):
            ranked_lists(query, gallery, Protocol(), rows, k=k)
    with pytest.raises(ProtocolError, match="averages over 3 random galleries"):
        ranked_lists(query, gallery, Protocol(draws=3), rows)
    with pytest.raises(UnknownNameError, match="Did you mean worst"):
        select_queries(query, gallery, Protocol(), "wors")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="n = 0"):
        select_queries(query, gallery, Protocol(), "worst", 0)


def test_a_gallery_of_fewer_than_ten_is_shown_whole() -> None:
    (found,) = ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([0]), junk=True)
    assert len(found.hits) == len(GALLERY) < 10
    query, gallery = crowd()
    assert len(ranked_lists(query, gallery, Protocol(), torch.tensor([0]))[0].hits) == 10


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate_embeddings(*crowd(40, seed=3), Protocol(), fingerprint="0f", data="here", content="abc", seed=5)


def test_a_calibrated_list_says_how_probable_it_is(calibration: Calibration) -> None:
    query, gallery = crowd()
    (found,) = ranked_lists(query, gallery, Protocol(), torch.tensor([2]), calibration=calibration)
    for hit in found.hits:
        assert (hit.same_person, hit.verdict) == calibration.verdict(hit.distance)
    with pytest.raises(ProtocolError, match="re-ranked distances have no calibration"):
        ranked_lists(query, gallery, Protocol(rerank=Rerank()), torch.tensor([2]), calibration=calibration)


def wearing(embeddings: Embeddings, hats: list[int]) -> Embeddings:
    hat = torch.tensor(hats, dtype=torch.float32)
    return replace(embeddings, attributes=torch.stack([1 - hat, hat, torch.ones(len(hat)), torch.zeros(len(hat))], 1))


def test_attributes_filter_a_list() -> None:
    asked = AttributeQuery(WEAR, {0: 1})
    gallery = wearing(GALLERY, [1, 0, 0, 0, 1, 1])  # loses the nearest: junk, a wrong one and a match
    (found,) = ranked_lists(QUERY, gallery, UNNORMALIZED, torch.tensor([0]), filters=[asked], junk=True)
    assert listed(found) == [(None, "junk", 1.0), (1, "false match", 25.0), (2, "true match", 36.0)]
    assert [hit.rank_before for hit in found.hits] == [None, 3, 4]
    assert (found.ranks, found.num_matches, found.remaining, found.gallery_size) == ((2,), 2, 2, 4)
    assert found.average_precision == pytest.approx((1 / 2 + 0) / 2)  # the match that left is never found
    assert found.attributes == asked
    (plain,) = ranked_lists(QUERY, gallery, UNNORMALIZED, torch.tensor([0]))
    assert {hit.rank_before for hit in plain.hits} == {None}


def test_a_filter_may_leave_nothing() -> None:
    asked = AttributeQuery(WEAR, {0: 1, 1: 1})
    gallery = wearing(GALLERY, [1] * 6)
    (found,) = ranked_lists(QUERY, gallery, UNNORMALIZED, torch.tensor([0]), filters=[asked])
    assert (found.hits, found.ranks, found.average_precision, found.remaining) == ((), (), 0.0, 0)
    with pytest.raises(ConfigError, match="gallery has no predicted attributes"):
        ranked_lists(QUERY, GALLERY, UNNORMALIZED, torch.tensor([0]), filters=[asked])
