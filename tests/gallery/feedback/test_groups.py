from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.gallery.store.conftest import ORIGIN, _unsynced, facts, files, make, named

from passerby.errors import ConfigError, OutputError
from passerby.gallery.feedback import groups as module
from passerby.gallery.feedback.clusters import clustered
from passerby.gallery.feedback.groups import Grouping, agreement, known_people
from passerby.gallery.feedback.notes import Group, Groups
from passerby.gallery.feedback.pairs import Feedback
from passerby.gallery.store.store import Store
from passerby.gallery.store.verify import verify
from passerby.retrieval.sparse_rows import from_table
from passerby.types import Embeddings

__all__ = ["_unsynced", "make"]
Make = Callable[..., Store]
PEOPLE, IMAGES = 12, 6


def store_of(path: Path, *, noise: float = 0.25, cameras: bool = True, **known: object) -> Store:
    """Return a gallery of images of people that look alike, person after person, in two adds."""
    generator = torch.Generator().manual_seed(5)
    centers = torch.randn(PEOPLE, 32, generator=generator)
    embedding = centers.repeat_interleave(IMAGES, 0) + noise * torch.randn(PEOPLE * IMAGES, 32, generator=generator)
    pids = torch.arange(PEOPLE).repeat_interleave(IMAGES)
    camids = torch.arange(PEOPLE * IMAGES) % 3 if cameras else None
    whole = Embeddings(embedding, tuple(f"{row}.jpg" for row in range(len(pids))), pids=pids, camids=camids)
    store = Store.create(path, ORIGIN, 32)
    for part in torch.arange(len(whole)).chunk(2):
        extra = {name: [values[row] for row in part] for name, values in known.items()}  # type: ignore[index]
        store.add(whole[part], facts(whole[part], **extra))
    return store


def rows_of(groups: Grouping) -> list[tuple[int, ...]]:
    return [each.rows for each in groups.all()]


def by_hand(
    similar: torch.Tensor, least: float, must: list[tuple[int, int]], cannot: list[tuple[int, int]]
) -> list[list[int]]:
    """Join the two clusters of the greatest mean similarity, again and again, over all pairs."""
    clusters = [[row] for row in range(len(similar))]

    def forbidden(a: list[int], b: list[int]) -> bool:
        return any({i, j} in [set(pair) for pair in cannot] for i in a for j in b)

    def join(a: list[int], b: list[int]) -> None:
        clusters.remove(a)
        clusters.remove(b)
        clusters.append(sorted(a + b))

    for i, j in must:
        a, b = (next(each for each in clusters if row in each) for row in (i, j))
        if a is not b and not forbidden(a, b):
            join(a, b)
    while True:
        pairs = [(float(similar[a][:, b].double().mean()), a, b) for a, b in combinations(clusters, 2)]
        pairs = [each for each in pairs if each[0] >= least and not forbidden(each[1], each[2])]
        if not pairs:
            return sorted(clusters)
        join(*max(pairs, key=lambda each: each[0])[1:])


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 14), constraints=st.integers(0, 5))
def test_clusters_are_those_of_average_linkage_over_all_pairs(seed: int, rows: int, constraints: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    similar = torch.rand(rows, rows, generator=generator, dtype=torch.float64)
    similar = (similar + similar.T) / 2
    similar[similar < 0.45] = 0
    similar.fill_diagonal_(1)
    pairs = [tuple(torch.randperm(rows, generator=generator)[:2].tolist()) for _ in range(2 * constraints)]
    must, cannot = pairs[:constraints], pairs[constraints:]
    kept = similar > 0
    columns = torch.arange(rows).expand(rows, rows)
    labels, _ = clustered(from_table(columns, kept, 1 - similar[kept]), radius=0.5, must=must, cannot=cannot)
    found = sorted([row for row in range(rows) if labels[row] == label] for label in set(labels.tolist()))
    assert found == by_hand(similar, 0.5, must, cannot)


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 14), numbers=st.integers(1, 4))
def test_rows_of_different_numbers_are_apart_as_all_their_pairs_would_be(seed: int, rows: int, numbers: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    similar = torch.rand(rows, rows, generator=generator, dtype=torch.float64)
    similar = (similar + similar.T) / 2
    kept = (similar >= 0.4).fill_diagonal_(fill_value=True)
    near = from_table(torch.arange(rows).expand(rows, rows), kept, 1 - similar[kept])
    drawn = torch.randint(-1, numbers, (rows,), generator=generator).tolist()
    known = {row: number for row, number in enumerate(drawn) if number >= 0}
    must, apart = ([tuple(torch.randperm(rows, generator=generator)[:2].tolist()) for _ in range(3)] for _ in range(2))
    pairs = [pair for pair in combinations(sorted(known), 2) if known[pair[0]] != known[pair[1]]]
    found = clustered(near, radius=0.6, must=must, cannot=apart, known=known)
    expected = clustered(near, radius=0.6, must=must, cannot=[*apart, *pairs])
    assert (found[0].tolist(), found[1]) == (expected[0].tolist(), expected[1])
    assert all(found[0][a] != found[0][b] for a, b in pairs)


def test_accepted_groups_are_apart_without_a_list_of_their_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, forbidden = store_of(tmp_path / "g", noise=0.01), list[int]()
    pairs = [(row, row + 1) for row in range(0, PEOPLE * IMAGES, 2)]
    known = Groups(groups=tuple(Group(id=n + 1, rows=pair, accepted=True) for n, pair in enumerate(pairs)))

    def counted(near: object, *, cannot: list[tuple[int, int]], **options: object) -> object:
        forbidden.append(len(cannot))
        return clustered(near, cannot=cannot, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("passerby.gallery.feedback.proposals.clustered", counted)
    found = module.proposed(store, known, [])
    assert found.groups == [], "each row is of a group, and no two groups are one, though their rows look alike"
    assert forbidden == [0]


def test_contradictions_are_counted_and_not_joined() -> None:
    near = from_table(torch.arange(3).expand(3, 3), torch.eye(3, dtype=torch.bool), torch.zeros(3))
    labels, contradictions = clustered(near, radius=0.5, must=[(0, 1), (1, 2)], cannot=[(0, 2)])
    assert labels.tolist() == [0, 0, 1]
    assert contradictions == 1


def test_people_that_look_alike_are_proposed_and_their_ids_are_not_used(tmp_path: Path) -> None:
    groups = Grouping(store_of(tmp_path / "g"))
    found = groups.propose()
    assert found.rows == PEOPLE * IMAGES
    assert rows_of(groups) == [tuple(range(IMAGES * n, IMAGES * (n + 1))) for n in range(PEOPLE)]
    assert agreement(groups.all(), known_people(groups.store)) == (1.0, 1.0)
    assert [each.id for each in groups.all()] == list(range(1, PEOPLE + 1))
    assert files(groups.store) == named(groups.store)
    again = Grouping(Store(groups.store.path))
    again.propose()
    assert rows_of(again) == rows_of(groups), "proposals can be repeated"
    assert [each.id for each in again.all()] == list(range(PEOPLE + 1, 2 * PEOPLE + 1)), "no ID is used twice"
    assert [each.as_py() for each in groups.store.shards[0].column("pid")][:7] == [0] * 6 + [1]


def test_memory_does_not_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Grouping(store_of(tmp_path / "g"))
    groups.propose()
    whole = rows_of(groups)
    from passerby.gallery.feedback import proposals
    from passerby.retrieval.jaccard import jaccard_within

    monkeypatch.setattr(
        proposals, "jaccard_within", lambda *given, **options: jaccard_within(*given, **options, block_bytes=4096)
    )
    groups.propose()
    assert rows_of(groups) == whole


def test_rejected_pairs_are_apart_and_confirmed_ones_together(tmp_path: Path) -> None:
    store = store_of(tmp_path / "g")
    Feedback(store).answer(0, 1, same=False)
    Feedback(store).answer(2, IMAGES, same=True)
    groups = Grouping(store)
    groups.propose()
    of = {row: each.id for each in groups.all() for row in each.rows}
    assert of.get(0, -1) != of.get(1, -2)
    assert of[2] == of[IMAGES]


def _proposed(store: Store) -> tuple[Group, ...]:
    groups = Grouping(store)
    groups.propose()
    return groups.all()


@pytest.mark.parametrize("camera", [None, 0])
def test_overlap_counts_in_one_camera(camera: int | None, tmp_path: Path) -> None:
    embedding = torch.randn(1, 32, generator=torch.Generator().manual_seed(1)).repeat(8, 1)
    embedding += 0.01 * torch.randn(8, 32, generator=torch.Generator().manual_seed(2))
    others = torch.randn(40, 32, generator=torch.Generator().manual_seed(3))
    whole = Embeddings(torch.cat([embedding, others]), tuple(map(str, range(48))))
    if camera is not None:
        whole = Embeddings(whole.embedding, whole.paths, camids=torch.zeros(48, dtype=torch.long))
    seen = [(0, 10), (0, 10), (5, 20), (5, 20), (30, 40), (30, 40), (41, 50), (41, 50)] + [(0, 1)] * 40
    store = Store.create(tmp_path / "g", ORIGIN, 32)
    store.add(whole, facts(whole, tracklets=[row // 2 for row in range(8)] + list(range(10, 50)), seen=seen))
    of = {row: each.id for each in _proposed(store) for row in each.rows if row < 8}
    assert (of.get(0, -1) == of.get(2, -2)) is (camera is None)
    assert {4, 6} <= set(of), "later ones overlap none"
    assert all(of.get(row, -1) == of.get(row + 1, -1) for row in range(0, 8, 2))


@pytest.mark.parametrize("frames", [True, False])
def test_rows_of_one_frame_are_different_people_on_request(frames: bool, tmp_path: Path) -> None:
    embedding = torch.randn(1, 32, generator=torch.Generator().manual_seed(1)).repeat(6, 1)
    embedding += 0.01 * torch.randn(6, 32, generator=torch.Generator().manual_seed(2))
    others = torch.randn(40, 32, generator=torch.Generator().manual_seed(3))
    times, camids = torch.tensor([7, 7, 8, 9, 10, 11, *range(100, 140)]), torch.zeros(46, dtype=torch.long)
    whole = Embeddings(torch.cat([embedding, others]), tuple(map(str, range(46))), camids=camids, times=times)
    store = Store.create(tmp_path / "g", ORIGIN, 32)
    store.add(whole, facts(whole))
    Grouping(store).propose(frames=frames)
    of = {row: each.id for each in Grouping(store).all() for row in each.rows if row < 6}
    assert (of.get(0, -1) == of.get(1, -2)) is not frames
    assert len({of[row] for row in (2, 3, 4, 5)}) == 1


def test_accepted_groups_stay_and_new_rows_are_proposed_for_them(tmp_path: Path) -> None:
    store = store_of(tmp_path / "g")
    groups = Grouping(store)
    groups.propose()
    groups.accept([2, 3])
    generator = torch.Generator().manual_seed(9)
    image = store.shards[0].embeddings(torch.arange(IMAGES, 2 * IMAGES).numpy()).mean(0, keepdim=True)
    added = Embeddings(image + 0.1 * torch.randn(1, 32, generator=generator), ("new.jpg",))
    (row,) = store.add(added, facts(added)).ids
    groups.propose()
    kept = [each for each in groups.all() if each.accepted]
    assert [(each.id, each.rows) for each in kept] == [(2, tuple(range(6, 12))), (3, tuple(range(12, 18)))]
    (further,) = [each for each in groups.all() if each.extends is not None]
    assert (further.rows, further.extends) == ((row,), 2)
    groups.accept([further.id])
    assert groups.group(2).rows == (*range(6, 12), row)
    groups.undo()
    assert groups.group(2).rows == tuple(range(6, 12))
    assert groups.group(further.id).rows == (row,)


def test_merge_split_dissolve_and_undo(tmp_path: Path) -> None:
    groups = Grouping(store_of(tmp_path / "g"))
    groups.propose()
    states = [groups.all()]
    assert groups.merge([1, 4]).rows == (*range(6), *range(18, 24))
    states.append(groups.all())
    left, new = groups.split(1, [0, 1])
    assert (left.rows, new.rows, new.accepted) == ((*range(2, 6), *range(18, 24)), (0, 1), True)
    states.append(groups.all())
    groups.split(2, [6])
    assert groups.group(2).rows == tuple(range(7, 12))
    assert not any(6 in each.rows for each in groups.all()), "one row is no group"
    states.append(groups.all())
    groups.dissolve([3, 5])
    assert {3, 5}.isdisjoint(each.id for each in groups.all())
    for expected in reversed(states):
        groups.undo()
        assert groups.all() == expected
    groups.undo()
    assert groups.all() == ()
    with pytest.raises(ConfigError, match="no change of groups"):
        groups.undo()


def test_a_group_that_is_gone_takes_proposals_for_it_along(tmp_path: Path) -> None:
    store = store_of(tmp_path / "g")
    groups = Grouping(store)
    accepted, further = Group(id=1, rows=(0, 1), accepted=True), Group(id=2, rows=(5,), extends=1)
    store.change_note("groups", lambda note, _: note.model_copy(update={"groups": (accepted, further), "next_id": 3}))  # type: ignore[attr-defined]
    groups.dissolve([1])
    assert groups.all() == ()
    groups.undo()
    assert groups.all() == (accepted, further)
    store.delete([0, 1])
    assert groups.all() == ()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda groups: groups.accept([99]), "no group has the ID 99"),
        (lambda groups: groups.merge([1, 1]), "two groups or more"),
        (lambda groups: groups.split(1, range(6)), "not all"),
        (lambda groups: groups.split(1, []), "got none"),
        (lambda groups: groups.split(1, [70]), "got 70"),
        (lambda groups: groups.propose(radius=1.5), "between 0 and 1"),
    ],
)
def test_changes_that_cannot_be(call: Callable[[Grouping], object], said: str, tmp_path: Path) -> None:
    groups = Grouping(store_of(tmp_path / "g"))
    groups.propose()
    before, version = groups.all(), groups.store.version
    with pytest.raises(ConfigError, match=said):
        call(groups)
    assert (groups.all(), groups.store.version) == (before, version)


def test_deleted_rows_leave_groups_and_their_history(tmp_path: Path) -> None:
    store = store_of(tmp_path / "g")
    groups = Grouping(store)
    groups.propose()
    groups.merge([1, 2])
    store.delete([0, 7, *range(12, 17)])
    assert groups.group(1).rows == (1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
    assert 3 not in {each.id for each in groups.all()}, "one row is left of it"
    groups.undo()
    assert [each.rows for each in groups.all()][:2] == [(1, 2, 3, 4, 5), (6, 8, 9, 10, 11)]
    (note,) = (store.path / "notes").iterdir()
    values = json.loads(note.read_text())
    kept = [*values["groups"], *(each for change in values["history"] for each in change.get("removed", ()))]
    assert not {0, 7, *range(12, 17)} & {row for each in kept for row in each["rows"]}
    assert verify(store.path).problems == ()


def test_proposals_that_others_overtook_are_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path / "g")
    groups = Grouping(store)
    groups.propose()
    find = module.proposed

    def overtaken(*given: object, **options: object) -> object:
        Grouping(Store(store.path)).accept([1])
        return find(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "proposed", overtaken)
    with pytest.raises(OutputError, match="changed meanwhile"):
        groups.propose()
    assert groups.group(1).accepted


def test_rows_that_are_deleted_while_groups_are_sought_are_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path / "g")
    find = module.proposed

    def late(*given: object, **options: object) -> object:
        found = find(*given, **options)  # type: ignore[arg-type]
        Store(store.path).delete([1])
        return found

    monkeypatch.setattr(module, "proposed", late)
    groups = Grouping(store)
    groups.propose()
    assert rows_of(groups)[0] == (0, 2, 3, 4, 5)


def test_few_rows_and_none_have_no_groups(make: Make, tmp_path: Path) -> None:
    for store in (make(1), Store.create(tmp_path / "none", ORIGIN, 24)):
        groups = Grouping(store)
        assert groups.propose().groups == []
        assert groups.all() == ()


def test_agreement_counts_pairs() -> None:
    groups = [Group(id=1, rows=(0, 1, 2, 3)), Group(id=2, rows=(4, 5)), Group(id=3, rows=(6,), extends=2)]
    people = {0: 7, 1: 7, 2: 7, 3: 8, 4: 9, 6: 9, 7: 8}
    assert agreement(groups, people) == (4 / 7, 4 / 5)
    assert agreement([], {0: 1, 1: 2}) == (None, None)
