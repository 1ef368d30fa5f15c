from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from tests.gallery.store.conftest import _unsynced, make, rows

from passerby.errors import ProtocolError, ShapeError
from passerby.gallery.asking.batching import BatchedSearch
from passerby.gallery.store.results import Found
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where

__all__ = ["_unsynced", "make"]
Make = Callable[..., Store]
WAIT = 20.0


def ids(found: list[Found]) -> list[int]:
    return [int(each.shard.ids[each.place]) for each in found]


def threads(calls: list[Callable[[], object]]) -> None:
    running = [threading.Thread(target=call) for call in calls]
    for each in running:
        each.start()
    for each in running:
        each.join(WAIT)
        assert not each.is_alive()


class Held:
    """A store whose first search waits until told to go on."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.go, self.sizes = threading.Event(), threading.Event(), list[int]()
        search = store.search

        def watched(query: torch.Tensor, k: int, where: object = None) -> object:
            self.sizes.append(len(query))
            if len(self.sizes) == 1:
                self.began.set()
                assert self.go.wait(WAIT)
            return search(query, k, where)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "search", watched)


def test_queries_that_arrive_while_a_product_runs_are_one_product(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(500, 500)
    query = rows(20, seed=9).embedding
    where = [Where(cameras=[n % 4]) if n % 3 else Where() for n in range(20)]
    single = [ids(store.search(query[n : n + 1], 5, where[n])[0]) for n in range(20)]
    held, batched, found = Held(store, monkeypatch), BatchedSearch(store), dict[int, list[int]]()

    def ask(n: int) -> None:
        found[n] = ids(batched.search(query[n : n + 1], 5, where[n])[0])

    def later() -> None:
        assert held.began.wait(WAIT)
        others = [threading.Thread(target=ask, args=(n,)) for n in range(1, 20)]
        for each in others:
            each.start()
        while len(batched._waiting) < 19:
            threading.Event().wait(0.001)
        held.go.set()
        for each in others:
            each.join(WAIT)

    threads([lambda: ask(0), later])
    assert held.sizes == [1, 19]
    assert batched.products == 2
    assert [found[n] for n in range(20)] == single


def test_an_error_is_that_of_its_own_query(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(300)
    query = rows(4, seed=9).embedding
    query[2] = torch.nan
    expected = {n: ids(store.search(query[n : n + 1], 3)[0]) for n in (0, 1, 3)}
    held, batched = Held(store, monkeypatch), BatchedSearch(store)
    found, errors = dict[int, list[int]](), dict[int, Exception]()

    def ask(n: int) -> None:
        try:
            found[n] = ids(batched.search(query[n : n + 1], 3)[0])
        except ProtocolError as error:
            errors[n] = error

    def later() -> None:
        assert held.began.wait(WAIT)
        others = [threading.Thread(target=ask, args=(n,)) for n in (1, 2, 3)]
        for each in others:
            each.start()
        while len(batched._waiting) < 3:
            threading.Event().wait(0.001)
        held.go.set()
        for each in others:
            each.join(WAIT)

    threads([lambda: ask(0), later])
    assert found == expected
    assert set(errors) == {2}
    with pytest.raises(ShapeError):
        batched.search(query[:1, :3], 3)


def test_different_numbers_of_hits_and_a_full_product_wait_for_the_next(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(300)
    query = rows(9, seed=9).embedding
    held, batched, found = Held(store, monkeypatch), BatchedSearch(store, most=4), dict[int, int]()

    def ask(n: int, k: int) -> None:
        found[n] = len(batched.search(query[n : n + 1], k)[0])

    def later() -> None:
        assert held.began.wait(WAIT)
        others = [threading.Thread(target=ask, args=(n, 3 if n < 7 else 5)) for n in range(1, 9)]
        for each in others:
            each.start()
        while len(batched._waiting) < 8:
            threading.Event().wait(0.001)
        held.go.set()
        for each in others:
            each.join(WAIT)

    threads([lambda: ask(0, 3), later])
    assert found == dict.fromkeys(range(7), 3) | dict.fromkeys((7, 8), 5)
    assert max(held.sizes) <= 4
    assert sum(held.sizes) == 9
    assert batched.products == len(held.sizes) < 9
    assert not batched._waiting


def test_many_threads_and_a_writer_get_the_answers_of_single_queries(make: Make) -> None:
    from tests.gallery.store.conftest import facts

    store = make(400)
    other = Store(store.path)
    batched = BatchedSearch(other)
    query = rows(60, seed=9).embedding
    expected = [ids(found) for found in store.search(query, 4, Where(people=[1, 2, 3]))]
    wrong: list[int] = []

    def ask(client: int) -> None:
        own = range(client, 60, 6)
        found = {n: ids(batched.search(query[n : n + 1], 4, Where(people=[1, 2, 3]))[0]) for n in own}
        wrong.extend(n for n in own if found[n] != expected[n])

    def write() -> None:
        for seed in range(20, 25):
            added = rows(3, seed=seed)
            store.add(added, facts(added))

    threads([*(lambda client=client: ask(client) for client in range(6)), write])  # type: ignore[misc]
    assert not wrong


def test_every_query_has_conditions_of_its_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(60)
    query = rows(3, seed=9).embedding
    alone = ids(store.search(query[2:], 5, Where(cameras=[2]))[0])
    held, batched = Held(store, monkeypatch), BatchedSearch(store)
    errors, found = list[str](), dict[int, list[list[int]]]()

    def few() -> None:
        try:
            found[1] = [ids(each) for each in batched.search(query[:2], 5, [Where()])]
        except ShapeError as error:
            errors.append(str(error))

    def one() -> None:
        found[2] = [ids(each) for each in batched.search(query[2:], 5, [Where(cameras=[2])])]

    def later() -> None:
        assert held.began.wait(WAIT)
        others = [threading.Thread(target=each) for each in (few, one)]
        for each in others:
            each.start()
        while len(batched._waiting) < 2 and not (errors and batched._waiting):
            threading.Event().wait(0.001)
        held.go.set()
        for each in others:
            each.join(WAIT)

    threads([lambda: batched.search(query[:1], 5), later])
    assert found == {2: [alone]}
    assert errors == [
        "each query needs conditions of its own: got 1 for 2 queries. Fix: give one Where for all queries, or one for "
        "each"
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_search_takes_conditions_for_all_queries_or_those_of_each(count: int, make: Make) -> None:
    store = make(60)
    query, where = rows(3, seed=9).embedding, [Where(cameras=[n]) for n in range(count)]
    with pytest.raises(ShapeError, match=f"got {count} for 3 queries"):
        store.search(query, 5, where)
    each = store.search(query, 5, [Where(cameras=[n]) for n in range(3)])
    assert [ids(found) for found in each] == [
        ids(store.search(query[n : n + 1], 5, Where(cameras=[n]))[0]) for n in range(3)
    ]
