"""Searches by several images, by rows, ranked again, one per person: against the ranking core on all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, _unsynced, facts, make, rows

from passerby.errors import ConfigError, ProtocolError
from passerby.gallery.asking.ask import Ask
from passerby.gallery.asking.nearest import Best, nearest
from passerby.gallery.asking.queries import pooled, rows_of
from passerby.gallery.feedback.notes import Group, Groups
from passerby.gallery.store import search as module
from passerby.gallery.store.results import Found
from passerby.gallery.store.search import Selection
from passerby.gallery.store.shard import DamagedShardError, Shard
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.retrieval.expansion import move_queries
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Rerank, Role

__all__ = ["_unsynced", "make"]
Make = Callable[..., Store]


def asked(count: int, seed: int = 77) -> Embeddings:
    return rows(count, seed=seed)


def ids(best: list[Best]) -> list[int]:
    return [int(each.found.shard.ids[each.found.place]) for each in best]


def stored(path: Path, count: int, *, seed: int = 3, stripes: int = 0, roles: torch.Tensor | None = None) -> Embeddings:
    """Return rows that a new gallery at ``path`` holds, in three shards: people 0 to 49, tracklets of three rows."""
    generator = torch.Generator().manual_seed(seed)
    local = None
    if stripes:
        local = torch.nn.functional.normalize(torch.randn(count, stripes, 6, generator=generator), dim=2)
    known = {"camids": torch.arange(count) % 5, "pids": torch.randint(0, 50, (count,), generator=generator)}
    whole = rows(count, seed=seed, local=local, roles=roles, **known)
    store = Store.create(path, ORIGIN, DIMENSIONS, stripes=(stripes, 6) if stripes else None)
    for part in torch.arange(count).chunk(3):
        tracklets = [int(row) // 3 if int(row) % 9 else None for row in part]
        store.add(whole[part], facts(whole[part], tracklets=tracklets))
    return whole


@pytest.mark.parametrize("direct", [0, 10**6])
@pytest.mark.parametrize("queries", [2, 5])
def test_max_is_the_least_distance_to_any_of_the_images(
    queries: int, direct: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DIRECT", direct)
    whole, query = stored(tmp_path / "g", 900), asked(queries)
    store = Store(tmp_path / "g")
    for where, kept in ((Where(), torch.arange(900)), (Where(cameras=[2]), (whole.camids == 2).nonzero().squeeze(1))):
        unit = l2_normalize(query.embedding).double(), l2_normalize(whole.embedding[kept]).double()
        least = torch.cdist(*unit).square().amin(0)
        expected = kept[least.sort(stable=True).indices[:30]].tolist()
        found = nearest(store, query, 30, where, Ask(combine="max"))
        assert ids(found) == expected
        distances = torch.tensor([each.found.distance for each in found]).double()
        torch.testing.assert_close(distances, least.sort().values[:30], rtol=1e-5, atol=1e-6)


def test_the_mean_is_of_normalized_embeddings(tmp_path: Path) -> None:
    whole = stored(tmp_path / "g", 400)
    long = replace(asked(3), embedding=asked(3).embedding * torch.tensor([[1.0], [5.0], [0.1]]))
    one = pooled(long, normalize=True)
    expected = l2_normalize(long.embedding).mean(0)
    torch.testing.assert_close(one.embedding[0], expected)
    core = top_k(Embeddings(expected[None], ("",)), whole, 20)
    assert ids(nearest(Store(tmp_path / "g"), one, 20, Where(), Ask())) == core.indices[0].tolist()


@pytest.mark.parametrize("how", ["tracklet", "person"])
@pytest.mark.parametrize("k", [1, 7, 300])
def test_one_hit_per_tracklet_or_person_is_the_best_with_the_number_of_the_others(
    how: str, k: int, tmp_path: Path
) -> None:
    roles = torch.full((600,), int(Role.PERSON))
    roles[::7] = int(Role.DISTRACTOR)
    whole = stored(tmp_path / "g", 600, roles=roles)
    store = Store(tmp_path / "g")
    assert whole.pids is not None
    order = top_k(asked(1), whole, 600).indices[0].tolist()
    kept = [row for row in order if row % 5 != 2]
    tracklets = [row // 3 if row % 9 else None for row in range(600)]
    starts = {0, 200, 400}  # each add has tracklets of its own
    assert {len(shard) for shard in store.shards} == {200}

    def key(row: int) -> object:
        if how == "tracklet":
            part = max(start for start in starts if start <= row)
            return ("alone", row) if tracklets[row] is None else (part, tracklets[row])
        return ("alone", row) if row % 7 == 0 else int(whole.pids[row])  # type: ignore[index]

    best: dict[object, int] = {}
    for row in kept:
        best.setdefault(key(row), row)
    found = nearest(store, asked(1), k, Where(not_cameras=[2]), Ask(one_per=how))  # type: ignore[arg-type]
    assert ids(found) == list(best.values())[:k]
    others = [sum(key(other) == key(row) for other in kept) - 1 for row in ids(found)]
    assert [each.others for each in found] == others
    assert max(others) > 0 or k == 1


def test_one_hit_per_group_and_conditions_on_groups(tmp_path: Path) -> None:
    whole = stored(tmp_path / "g", 300)
    store = Store(tmp_path / "g")
    groups = (Group(id=1, rows=tuple(range(40)), accepted=True), Group(id=2, rows=tuple(range(100, 150))))
    further = Group(id=3, rows=(200, 201), extends=1)
    store.change_note("groups", lambda *_: Groups(groups=(*groups, further), next_id=4))
    order = top_k(asked(1), whole, 300).indices[0].tolist()
    of = dict.fromkeys((*range(40), 200, 201), 1) | dict.fromkeys(range(100, 150), 2)
    best: dict[int, int] = {}
    for row in order:
        best.setdefault(of.get(row, -row - 1), row)
    found = nearest(store, asked(1), 90, Where(), Ask(one_per="group"))
    assert ids(found) == list(best.values())[:90]
    assert {of[row]: each.others for row, each in zip(ids(found), found, strict=True) if row in of} == {1: 41, 2: 49}
    assert {each.others for row, each in zip(ids(found), found, strict=True) if row not in of} == {0}
    within = nearest(store, asked(1), 300, Where(groups=[1], cameras=[0, 1]), Ask())
    assert ids(within) == [row for row in order if of.get(row) == 1 and row % 5 < 2]
    with pytest.raises(ConfigError, match="no group has the ID 9"):
        nearest(store, asked(1), 5, Where(groups=[9]), Ask())
    store.delete([5, 200])
    assert set(ids(nearest(store, asked(1), 300, Where(groups=[1]), Ask()))) == {*range(40), 201} - {5}


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("distance", ["global", "local", "global_local"])
def test_where_all_rows_are_candidates_the_order_is_that_of_the_core(
    distance: str, queries: int, tmp_path: Path
) -> None:
    whole, query = stored(tmp_path / "g", 120, stripes=4), asked(queries)
    local = torch.nn.functional.normalize(torch.randn(queries, 4, 6, generator=torch.Generator().manual_seed(1)), dim=2)
    query, store = replace(query, local=local), Store(tmp_path / "g")
    for rerank in (None, Rerank(k1=7, k2=3)):
        how = Ask(distance=distance, rerank=rerank, combine="max")  # type: ignore[arg-type]
        core = top_k(query, whole, 120, distance=distance, rerank=rerank)  # type: ignore[arg-type]
        whole_matrix = torch.empty(queries, 120).scatter_(1, core.indices, core.distances)
        least = whole_matrix.amin(0).sort(stable=True)
        found = nearest(store, query, 40, Where(), how)
        torch.testing.assert_close(torch.tensor([each.found.distance for each in found]), least.values[:40])
        assert ids(found)[:20] == least.indices[:20].tolist()


def test_of_many_rows_the_nearest_by_embedding_are_ranked_again(tmp_path: Path) -> None:
    whole = stored(tmp_path / "g", 1500)
    order = top_k(asked(1), whole, 400).indices[0].sort().values
    core = top_k(asked(1), whole[order], 30, rerank=Rerank())
    found = nearest(Store(tmp_path / "g"), asked(1), 30, Where(), Ask(rerank=Rerank()))
    assert ids(found) == order[core.indices[0]].tolist()
    torch.testing.assert_close(torch.tensor([each.found.distance for each in found]), core.distances[0])


def test_re_ranking_needs_neighbors_and_finds_nothing_among_no_rows(make: Make) -> None:
    store = make(30)
    assert nearest(store, asked(1), 3, Where(cameras=[9]), Ask(rerank=Rerank())) == []
    with pytest.raises(ProtocolError, match="needs more query and gallery images"):
        nearest(store, asked(1), 3, Where(), Ask(rerank=Rerank(k1=40)))


def test_a_moved_query_is_the_formula_and_rows_near_rejected_ones_are_farther(make: Make) -> None:
    store = make(50)
    near, far = rows_of(store, [4, 9]).embedding, rows_of(store, [30]).embedding
    x = asked(1).embedding
    unit = [each / each.norm(dim=1, keepdim=True) for each in (x, near, far)]
    by_hand = (unit[0][0] + unit[1][0] + unit[1][1]) / 3 - 0.15 * unit[2][0]
    moved = move_queries(x, near, far)
    torch.testing.assert_close(moved[0], by_hand / by_hand.norm())
    torch.testing.assert_close(move_queries(x, near[:0], far[:0])[0], unit[0][0])

    def distance(query: torch.Tensor, row: int) -> float:
        found = nearest(store, Embeddings(query, ("",)), 50, Where(), Ask())
        return next(each.found.distance for each, i in zip(found, ids(found), strict=True) if i == row)

    assert distance(moved, 4) < distance(x, 4)
    assert distance(move_queries(x, near[:0], far), 30) > distance(x, 30)
    raw = move_queries(x, near, far, normalize=False)
    torch.testing.assert_close(raw[0], (x[0] + near.sum(0)) / 3 - 0.15 * far[0])
    with pytest.raises(ProtocolError):
        move_queries(x, -x, x[:0])


def test_rows_in_the_order_of_their_ids_and_absent_ones(make: Make) -> None:
    store = make(5, 5)
    whole = torch.cat([rows(5).embedding, rows(5, seed=1).embedding])
    assert torch.equal(rows_of(store, [7, 2, 7]).embedding, whole[[7, 2, 7]])
    with pytest.raises(ConfigError, match="no row has the ID 12"):
        rows_of(store, [1, 12])


def test_questions_that_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="the row 3 is both"):
        Ask(positives=(3, 4), negatives=(3,))
    with pytest.raises(ConfigError, match="not the stripes"):
        Ask(positives=(3,), distance="local")


def test_what_is_asked_in_words() -> None:
    assert Ask().described(1) == ""
    how = Ask(combine="max", positives=(1, 2), negatives=(3,), rerank=Rerank(), one_per="person")
    assert how.described(2) == (
        "nearest to any of 2 images, moved by 2 confirmed images, moved by 1 rejected image, the nearest re-ranked by "
        "k-reciprocal neighbors (k1 20, k2 6, λ 0.3), one hit per person"
    )
    assert Ask(distance="local").described(3) == "mean of 3 images, the nearest ranked by distance local"


def damage(store: Store, shard: Shard, column: str) -> None:
    """Change a byte in the middle of a column of a shard's file."""
    values = shard.batch.column(column).values.values.buffers()[1]
    file = store.path / "shards" / shard.entry.name
    content = bytearray(file.read_bytes())
    content[values.address - shard._start + values.size // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("how", [Ask(distance="local"), Ask(distance="global_local", one_per="person")])
def test_a_shard_of_damaged_stripes_is_set_aside_and_the_others_are_searched(
    how: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = stored(tmp_path / "g", 120, stripes=4)
    local = torch.nn.functional.normalize(torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(1)), dim=2)
    query = replace(asked(1), local=local)
    damage(writer := Store(tmp_path / "g"), writer.shards[1], "local")
    store, set_aside, times = Store(tmp_path / "g"), Store._set_aside, list[int]()

    def counted(self: Store, damaged: Sequence[DamagedShardError]) -> None:
        times.append(1)
        assert len(times) < 5, "the search does not end"
        set_aside(self, damaged)

    monkeypatch.setattr(Store, "_set_aside", counted)
    rest = torch.tensor([*range(40), *range(80, 120)])
    core = top_k(query, whole[rest], 80, distance=how.distance)
    found = nearest(store, query, 10, Where(), how)
    best: dict[int, int] = {}
    for row in rest[core.indices[0]].tolist():
        best.setdefault(int(whole.pids[row]) if how.one_per else row, row)  # type: ignore[index]
    assert ids(found) == list(best.values())[:10]
    assert (store.lost, len(store), times) == (40, 80, [1])
    assert "40 rows are lost" in caplog.text


def test_a_shard_that_is_read_again_after_it_was_set_aside_is_an_error(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, calls = make(20, 20), list[int]()
    stale = store.shards[0]

    def read() -> None:
        calls.append(1)
        assert len(calls) < 5, "it is read again and again"
        raise DamagedShardError(stale.entry.name, "its local differ from what was written")

    with pytest.raises(DamagedShardError, match="its local differ"):
        store.undamaged(read)
    assert (len(calls), len(store), store.lost) == (2, 20, 20)


@pytest.mark.parametrize("how", [Ask(one_per="person"), Ask(one_per="group"), Ask(one_per="person", combine="max")])
def test_few_people_are_no_reason_to_look_at_all_rows(
    how: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, k = stored(tmp_path / "g", 3000), 60
    store, counts = Store(tmp_path / "g"), list[int]()
    assert whole.pids is not None
    groups = [Group(id=n + 1, rows=tuple(whole.pids.eq(n).nonzero().flatten().tolist())) for n in range(50)]
    store.change_note("groups", lambda *_: Groups(groups=tuple(groups), next_id=51))
    query, search = asked(2 if how.combine == "max" else 1), store.search

    def counted(query: torch.Tensor, count: int, where: Where) -> list[list[Found]]:
        counts.append(count)
        return search(query, count, where)

    monkeypatch.setattr(store, "search", counted)
    where = Where(not_cameras=[3], not_ids=whole.pids.eq(8).nonzero().flatten().tolist())
    found = nearest(store, query, k, where, how)
    assert max(counts) < 3000, "all rows were looked at"
    kept = [row for row in range(3000) if row % 5 != 3 and whole.pids[row] != 8]
    distances = torch.cdist(l2_normalize(query.embedding).double(), l2_normalize(whole.embedding[kept]).double())
    best: dict[int, int] = {}
    for place in distances.amin(0).sort(stable=True).indices.tolist():
        best.setdefault(int(whole.pids[kept[place]]), kept[place])
    assert ids(found) == list(best.values())
    assert len(best) == 49
    sizes = whole.pids[kept].bincount()
    assert [each.others for each in found] == [int(sizes[person]) - 1 for person in best]


def test_a_person_who_is_added_while_hits_are_counted_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "g", 900)
    store, select, times = Store(tmp_path / "g"), Store.select, list[int]()
    new = Embeddings(-asked(1).embedding, ("new.jpg",), pids=torch.tensor([77]))

    def late(self: Store, where: Where) -> Selection:
        times.append(1)
        selection = select(self, where)
        if len(times) == 2:  # the first one is the search's
            Store(tmp_path / "g").add(new, facts(new))
            store.refresh()
        return selection

    monkeypatch.setattr(Store, "select", late)
    found = nearest(store, asked(1), 52, Where(), Ask(one_per="person"))
    assert len(found) == 51
    assert ids(found)[-1] == 900
