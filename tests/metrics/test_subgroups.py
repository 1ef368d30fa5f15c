"""Subgroups against a literal loop, and the sums of their counts."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch

from passerby.errors import ProtocolError, ShapeError
from passerby.metrics.functional import bootstrap_intervals
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import FEW, Subgroup, camera_subgroups, query_subgroups, worst_first
from passerby.types import Embeddings, Protocol, QueryResults, Rerank, Role


def people(n: int, seed: int) -> Embeddings:
    """Return random people, cameras and roles; all distances differ."""
    draw = torch.Generator().manual_seed(seed)
    pids, camids = torch.randint(5, (n,), generator=draw), torch.randint(3, (n,), generator=draw)
    centers = torch.randn(5, 6, generator=torch.Generator().manual_seed(9)).double()
    features = centers[pids] + torch.randn(n, 6, generator=draw).double()
    roles = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), n, replacement=True, generator=draw)
    return Embeddings(features, tuple(map(str, range(n))), pids, camids, roles)


def literal(
    query: Embeddings, gallery: Embeddings, protocol: Protocol
) -> dict[tuple[str, str], list[tuple[int, float, int]]]:
    """Return, for each pair of cameras, a row per query: first rank, average precision (step), person."""
    units = [(e.embedding / e.embedding.norm(dim=1, keepdim=True)).tolist() for e in (query, gallery)]
    asked, seen = (
        list(zip(u, e.pids.tolist(), e.camids.tolist(), e.roles.tolist(), strict=True))
        for u, e in zip(units, (query, gallery), strict=True)
    )  # type: ignore[union-attr]
    found = defaultdict(list)
    for x, pid, a, role in asked:
        for b in range(3):
            rows = []
            for y, other, camera, kind in seen:
                mine = role == kind == Role.PERSON and other == pid
                if camera == b and kind != Role.JUNK and not (protocol.ignore_same_camera and mine and a == b):
                    rows.append((sum((v - w) ** 2 for v, w in zip(x, y, strict=True)), mine))
            ranks = [place for place, (_, mine) in enumerate(sorted(rows), 1) if mine]
            if ranks:
                precision = sum(i / rank for i, rank in enumerate(ranks, 1)) / len(ranks)
                found[str(a), str(b)].append((ranks[0], precision, pid))
    return found


@pytest.mark.parametrize("ignore", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_pairs_of_cameras_equal_a_literal_loop(seed: int, ignore: bool) -> None:
    query, gallery, protocol = people(25, seed), people(60, seed + 100), Protocol(ignore_same_camera=ignore)
    expected = literal(query, gallery, protocol)
    found = camera_subgroups(query, gallery, protocol, block_bytes=2_000)
    assert [(some.group, some.value) for some in found] == sorted(expected)
    assert any(some.group == some.value for some in found) == (not ignore)
    for some in found:
        rows = expected[some.group, some.value]
        assert (some.dimension, some.queries, some.people) == ("cameras", len(rows), len({pid for *_, pid in rows}))
        assert some.rank1 == pytest.approx(sum(first == 1 for first, *_ in rows) / len(rows))
        assert some.mean_ap == pytest.approx(sum(precision for _, precision, _ in rows) / len(rows))


def test_a_pair_of_cameras_is_a_separate_evaluation() -> None:
    query, gallery = people(25, 1), people(60, 101)
    protocol = Protocol(rerank=Rerank(k1=4, k2=2), average_precision="trapezoid")
    cell = next(some for some in camera_subgroups(query, gallery, protocol) if (some.group, some.value) == ("0", "2"))
    assert query.camids is not None
    assert gallery.camids is not None
    alone = evaluate_embeddings(query[query.camids == 0], gallery[gallery.camids == 2], protocol)
    assert (cell.queries, cell.rank1, cell.mean_ap) == (alone.queries, alone.rank1, alone.mean_ap)
    assert (cell.rank1_interval, cell.mean_ap_interval) == (alone.intervals["rank1"], alone.intervals["mean_ap"])


def test_a_gallery_camera_without_true_matches_has_no_subgroups() -> None:
    query = Embeddings(torch.eye(3)[:1], ("q",), torch.tensor([1]), torch.tensor([0]))
    gallery = Embeddings(
        torch.eye(3)[[0, 1, 2, 1]], tuple("abcd"), torch.tensor([1, 2, 1, 2]), torch.tensor([1, 2, 0, 1])
    )
    assert [(some.group, some.value) for some in camera_subgroups(query, gallery, Protocol())] == [("0", "1")]


def test_unknown_cameras_and_drawn_galleries_raise() -> None:
    one = people(20, 1)
    nowhere = Embeddings(one.embedding, one.paths, one.pids)
    with pytest.raises(ProtocolError, match="need the camera IDs"):
        camera_subgroups(nowhere, one, Protocol(ignore_same_camera=False))
    with pytest.raises(ProtocolError, match="draws galleries"):
        camera_subgroups(one, one, Protocol(draws=3))


def results(n: int) -> QueryResults:
    ranks, ones = torch.arange(n) % 3 + 1, torch.ones(n, dtype=torch.long)
    return QueryResults(
        tuple(map(str, range(n))), torch.arange(n) // 2, None, ones, ranks, 1 / ranks.double(), 1 / ranks.double()
    )


def test_queries_are_divided_and_add_up() -> None:
    each = results(14)
    labels = ["yes" if row < 3 else "no" for row in range(14)]
    yes, no = query_subgroups("attributes", "hat", labels, each, order=("yes", "unknown", "no"))
    assert (yes.value, yes.queries, yes.people, yes.few) == ("yes", 3, 2, True)
    assert (no.value, no.queries, no.people, no.few) == ("no", 11, 6, False)
    assert yes.queries + no.queries == len(each)
    assert yes.rank1 == pytest.approx(1 / 3)
    assert yes.mean_ap == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert (3 * yes.mean_ap + 11 * no.mean_ap) / 14 == pytest.approx(each.average_precision.mean().item())
    low, high = bootstrap_intervals(each.average_precision[None, 3:])[0].tolist()
    assert no.mean_ap_interval == pytest.approx((low, high))


def test_a_subgroup_is_marked_below_the_bound() -> None:
    sizes = {n: query_subgroups("visibility", "j", ["a"] * n, results(n), order="a")[0].few for n in (FEW - 1, FEW)}
    assert sizes == {FEW - 1: True, FEW: False}


def test_no_query_is_lost() -> None:
    with pytest.raises(ShapeError, match="got 3 labels of hat for 4 queries"):
        query_subgroups("attributes", "hat", ["no"] * 3, results(4), order=("no",))
    with pytest.raises(ProtocolError, match="hat yes would be lost"):
        query_subgroups("attributes", "hat", ["no", "yes"], results(2), order=("no",))


def some(dimension: str, value: str, mean_ap: float) -> Subgroup:
    return Subgroup(dimension, "g", value, 9, 3, 0.5, mean_ap, (0.4, 0.6), (0.1, 0.9))  # type: ignore[arg-type]


def test_the_worst_subgroups_come_first_within_a_dimension() -> None:
    mixed = [
        some("visibility", "a", 0.9),
        some("visibility", "b", 0.1),
        some("cameras", "c", 0.5),
        some("cameras", "d", 0.0),
    ]
    assert [each.value for each in worst_first(mixed)] == ["b", "a", "d", "c"]


def test_plain_values_for_json() -> None:
    assert some("cameras", "2", 0.5).to_dict() == {
        "dimension": "cameras",
        "group": "g",
        "value": "2",
        "queries": 9,
        "people": 3,
        "rank1": 0.5,
        "mean_ap": 0.5,
        "rank1_interval": [0.4, 0.6],
        "mean_ap_interval": [0.1, 0.9],
        "few": True,
    }
