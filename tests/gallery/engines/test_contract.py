"""What every engine does, whichever it is: the answers are those of the shards, at once after each change."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, facts, rows

from passerby.cli import main
from passerby.errors import ConfigError
from passerby.gallery.engines.protocol import EngineError, Rows
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where
from passerby.types import Role

COUNT = 1200
ODD_TAG = "it's \"odd\" \\ {a,b} %_ '; DROP SCHEMA passerby; -- ☂"
CONDITIONS = [
    Where(),
    Where(junk=True),
    Where(cameras=[1, 3]),
    Where(not_cameras=[1]),
    Where(people=[2, 4, 6, 8, 10, 12]),
    Where(taken_from=300),
    Where(taken_before=900),
    Where(taken_from=100, taken_before=1100),
    Where(tags=["entrance"]),
    Where(tags=["entrance", ODD_TAG]),
    Where(collections=["a", ODD_TAG]),
    Where(cameras=[0, 1, 2], tags=["entrance"], taken_from=5),
]
"""The conditions that an engine can express."""
FURTHER = [Where(ids=range(0, COUNT, 2)), Where(cameras=[99]), Where(collections=["none"])]
"""A condition that it leaves to the shards, and two that no row satisfies."""


def create(path: Path, *, normalize: bool = True) -> Store:
    from dataclasses import replace

    return Store.create(path / "g.gallery", replace(ORIGIN, normalize=normalize), DIMENSIONS)


def fill(store: Store) -> None:
    """Add rows of which cameras, people, times, tags and collections are known, in part, and one in 50 is junk."""
    for seed, (tags, collection) in enumerate(((("entrance",), "a"), (("entrance", ODD_TAG), ODD_TAG), ((), None))):
        n = torch.arange(COUNT // 3)
        known: dict[str, Any] = {} if seed == 2 else {"camids": n % 4, "pids": n % 14}
        part = rows(len(n), seed=seed, roles=(n % 50 == 7).long() * int(Role.JUNK), **known)
        taken = [None if row % 9 == 0 else 3 * row for row in n.tolist()]
        store.add(part, facts(part, tags=tags, collection=collection, taken=taken))


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterable[Store]:
    yield from filled_and_attached(url, tmp_path)


@pytest.fixture(scope="module")
def settled(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Store]:
    """A gallery that tests only search."""
    yield from filled_and_attached(server_url, tmp_path_factory.mktemp("settled"))


def filled_and_attached(url: str, folder: Path) -> Iterable[Store]:
    made = create(folder)
    fill(made)
    made.attach(url)
    yield made
    if made.engine:
        made.engine.engine.drop()
        made.engine.close()


def ids(found: list[list[Any]]) -> list[list[int]]:
    return [[int(hit.shard.ids[hit.place]) for hit in hits] for hits in found]


def exact(store: Store, query: torch.Tensor, k: int, where: Where | None = None) -> list[list[int]]:
    """Return the answers of the same gallery without its engine."""
    alone = Store(store.path)
    alone._engine = Silent(alone.manifest.engine)  # type: ignore[assignment]
    return ids(alone.search(query, k, where))


class Silent:
    def __init__(self, address: str) -> None:
        self.address = address

    def search(self, manifest: Any, selection: Any, query: torch.Tensor, k: int, where: Where) -> Any:
        from passerby.gallery.store.search import search

        return search(selection, query, k, normalize=manifest.origin.normalize)


def queries(count: int = 20) -> torch.Tensor:
    return torch.randn(count, DIMENSIONS, generator=torch.Generator().manual_seed(99))


def engine_of(store: Store) -> Any:
    assert store.engine is not None
    return store.engine.engine


def test_an_engine_holds_all_rows_and_says_so(settled: Store) -> None:
    engine = engine_of(settled)
    assert engine.held(COUNT - 1, settled.version) == (COUNT - 1, settled.manifest.shards_version)
    assert engine.ids(10**4).tolist() == list(range(COUNT))
    about = engine.about()
    assert int(about.get("bytes", 10**9)) > COUNT * DIMENSIONS * 2
    assert str(about["product"])


@pytest.mark.parametrize("where", CONDITIONS, ids=str)
def test_conditions_mean_the_same(settled: Store, where: Where) -> None:
    assert engine_of(settled).count(where) == len(settled.select(where)) > 0


@pytest.mark.parametrize("where", [*CONDITIONS, *FURTHER], ids=str)
def test_answers_are_those_of_the_shards(settled: Store, where: Where, asked: list[int]) -> None:
    expected = exact(settled, queries(), 10, where)
    found = ids(settled.search(queries(), 10, where))
    same = [len(set(mine) & set(true)) for mine, true in zip(found, expected, strict=True)]
    assert sum(same) >= 0.99 * sum(map(len, expected))
    assert [row[:1] for row in found] == [row[:1] for row in expected]
    assert asked or not len(settled.select(where)), "the engine was not asked"


@pytest.mark.parametrize("normalize", [True, False])
def test_embeddings_that_are_not_normalized(normalize: bool, url: str, tmp_path: Path, asked: list[int]) -> None:
    made = create(tmp_path, normalize=normalize)
    part = rows(COUNT)
    part.embedding.mul_(torch.linspace(0.1, 3000, COUNT)[:, None])
    made.add(part, facts(part))
    made.attach(url)
    query = queries(3) * torch.tensor([1.0, 100.0, 2000.0])[:, None]
    assert ids(made.search(query, 10)) == exact(made, query, 10)
    assert len(asked) == 3
    made.detach()


def test_what_is_added_is_found_at_once_here_and_elsewhere(store: Store, asked: list[int]) -> None:
    elsewhere = Store(store.path)
    elsewhere.search(queries(1), 5)
    for seed in range(20, 24):
        part = rows(3, seed=seed)
        added = store.add(part, facts(part)).ids
        for each in (store, elsewhere, Store(store.path)):
            assert [row[0] for row in ids(each.search(part.embedding, 2))] == list(added)
    assert engine_of(store).held(store.manifest.next_id - 1, store.version).version == store.manifest.shards_version
    assert len(asked) == 3 * 3 * 4 + 1


def test_what_is_deleted_is_found_no_more_here_and_elsewhere(store: Store, asked: list[int]) -> None:
    elsewhere, gone = Store(store.path), rows(COUNT // 3).embedding[:20]
    found = [row[0] for row in ids(elsewhere.search(gone, 2))]
    assert [row for row in range(20) if found[row] != row] == [7], "one is junk"
    store.delete(range(20))
    for each in (store, elsewhere, Store(store.path)):
        found = ids(each.search(gone, 10))
        assert found == exact(store, gone, 10)
        assert min(map(min, found)) >= 20
    assert engine_of(store).ids(10**4).tolist() == list(range(20, COUNT))
    assert engine_of(store).deleted() == 20
    assert asked


class BrokenError(EngineError):
    pass


def fail(*_: Any, **__: Any) -> Any:
    raise BrokenError("down. Fix: start it")


def test_changes_that_an_engine_has_missed(
    store: Store, asked: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows it lacks are found, rows it should have lost are not; the next change brings it up."""
    part = rows(30, seed=50)
    with monkeypatch.context() as patch:
        patch.setattr(engine_of(store), "write", fail)
        added = store.add(part, facts(part)).ids
        store.delete(range(300))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "still holds the vectors of deleted rows" in caplog.text
    assert "engine" in caplog.text
    assert "Fix: passerby gallery engine" in caplog.text
    for each in (store, Store(store.path)):
        assert [row[0] for row in ids(each.search(part.embedding, 2))] == list(added)
        assert ids(each.search(queries(), 10)) == exact(store, queries(), 10)
        assert min(map(min, ids(each.search(rows(300).embedding, 10)))) >= 300
    last = rows(1, seed=51)
    store.add(last, facts(last))
    assert engine_of(store).ids(10**4).tolist() == [*range(300, COUNT), *added, added[-1] + 1]
    assert asked


def test_a_write_that_fails_half_way_is_done_again(store: Store, asked: list[int]) -> None:
    engine, real = engine_of(store), engine_of(store).write

    def torn(added: Iterable[Rows], deleted: Any, after: Any) -> None:
        def some() -> Iterable[Rows]:
            yield next(iter(added))
            raise BrokenError("killed. Fix: none")

        real(some(), deleted, after)

    part = rows(40, seed=60)
    engine.write = torn
    try:
        added = store.add(part, facts(part)).ids
    finally:
        del engine.write
    assert [row[0] for row in ids(Store(store.path).search(part.embedding, 2))] == list(added)
    assert store.sync().added == 40
    assert engine.ids(10**4).tolist() == list(range(COUNT + 40))
    assert store.sync().added == 0
    assert ids(store.search(part.embedding, 10)) == exact(store, part.embedding, 10)


def test_rows_of_a_damaged_shard_leave_the_engine_too(store: Store) -> None:
    shard = store.path / "shards" / store.manifest.shards[1].name
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    again = Store(store.path)
    lost = again.manifest.lost or (again.search(rows(400, seed=1).embedding, 5), again.manifest.lost)[1]
    assert sum(each.rows for each in lost) == COUNT // 3
    again.delete([0])
    assert engine_of(again).ids(10**4).tolist() == again.ids()
    assert len(again.ids()) == 2 * COUNT // 3 - 1


def test_an_engine_without_an_answer_is_told_of_and_searched_around(
    store: Store, asked: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_of(store), "candidates", fail)
    for _ in range(3):
        assert ids(store.search(queries(), 10)) == exact(store, queries(), 10)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "take longer" in caplog.text
    assert not asked
    assert store.engine is not None
    store.engine.required = True
    with pytest.raises(EngineError, match="down"):
        store.search(queries(), 10)


def test_few_rows_need_no_engine(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_of(store), "candidates", fail)
    monkeypatch.setattr(engine_of(store), "held", fail)
    assert store.engine is not None
    store.engine.required = True
    assert ids(store.search(queries(), 10)) == exact(store, queries(), 10)


def test_more_hits_than_an_engine_proposes(store: Store, asked: list[int]) -> None:
    found = ids(store.search(queries(2), 900))
    assert [len(set(mine) & set(true)) >= 890 for mine, true in zip(found, exact(store, queries(2), 900), strict=True)]
    assert ids(store.search(queries(1), 5001)) == exact(store, queries(1), 5001)


def test_rebuilt_it_answers_as_before(store: Store, asked: list[int]) -> None:
    store.delete(range(0, COUNT, 3))
    elsewhere = Store(store.path)
    elsewhere.search(queries(), 10)
    store.rebuild()
    assert engine_of(store).deleted() == 0
    assert engine_of(store).ids(10**4).tolist() == store.ids()
    for each in (store, elsewhere, Store(store.path)):
        assert ids(each.search(queries(), 10)) == exact(store, queries(), 10)
    part = rows(2, seed=70)
    added = store.add(part, facts(part)).ids
    assert [row[0] for row in ids(elsewhere.search(part.embedding, 2))] == list(added)


def test_detached_it_holds_nothing(store: Store, url: str) -> None:
    with pytest.raises(ConfigError, match="has an engine already"):
        store.attach(url)
    engine = engine_of(store)
    store.detach()
    assert store.engine is None
    assert Store(store.path).engine is None
    assert engine.ids(10**4).tolist() == []
    assert engine.held(0, store.version) == (-1, -1)
    with pytest.raises(ConfigError, match="has no engine"):
        store.sync()
    assert store.attach(url).added == COUNT


def test_two_galleries_do_not_meet(store: Store, url: str, tmp_path: Path, asked: list[int]) -> None:
    other = Store.create(tmp_path / "other", ORIGIN, DIMENSIONS)
    part = rows(300, seed=80)
    other.add(part, facts(part))
    other.attach(url)
    assert engine_of(other).ids(10**4).tolist() == list(range(300))
    assert ids(store.search(queries(), 10)) == exact(store, queries(), 10)
    other.detach()
    assert engine_of(store).ids(10**4).tolist() == list(range(COUNT))


def test_an_empty_gallery_may_have_an_engine(url: str, tmp_path: Path, asked: list[int]) -> None:
    made = create(tmp_path)
    assert made.attach(url).added == 0
    part = rows(500)
    made.add(part, facts(part))
    assert ids(made.search(part.embedding[:5], 3)) == exact(made, part.embedding[:5], 3)
    assert len(asked) == 5
    np.testing.assert_array_equal(engine_of(made).ids(10**4), np.arange(500))
    made.detach()


def command(*words: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert not stop.value.code


def test_the_proof_of_a_deletion_is_of_the_folder_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    command("gallery", "delete", store.path, "--id", 3, "--yes")
    said = capsys.readouterr().out
    assert "none of their vectors is in" in said
    assert f"This holds for the folder alone. Files of the engine {store.manifest.engine} may hold their" in said
    command("gallery", "engine", store.path, "rebuild")
    said = capsys.readouterr().out
    if str(store.manifest.engine).startswith("milvus"):
        assert "may still hold vectors of deleted rows" in said
        assert "dataCoord.gc.dropTolerance" in said
    assert ("without the vectors of deleted rows" in said) == ("may still hold" not in said)
