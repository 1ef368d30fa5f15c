"""An engine that may lack rows is not relied on: lost rows that came back, copies, folders that were restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.gallery.engines.test_contract import exact, fail, ids, queries
from tests.gallery.store.conftest import facts as facts_of
from tests.gallery.store.conftest import filled
from tests.gallery.store.conftest import rows as images

from passerby.gallery.engines import attached
from passerby.gallery.engines.protocol import NOTHING, EngineError, Held, Ids, Rows
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where

COUNT = 300
LATE = images(COUNT, seed=1).embedding[:20]
"""The first rows of the second shard."""


class Database:
    """A table in memory that all engines of a test share, as copies of a gallery share one on a server."""

    def __init__(self) -> None:
        self.vectors: dict[int, torch.Tensor] = {}
        self.record = NOTHING
        self.asked = 0

    def held(self, newest: int, version: int) -> Held:
        return self.record

    visible = held

    def write(self, added: Iterable[Rows], deleted: Sequence[int], after: Held) -> None:
        for row in deleted:
            self.vectors.pop(row, None)
        for part in added:
            assert not set(part.ids.tolist()) & set(self.vectors), "these IDs are taken"
            self.vectors |= dict(zip(part.ids.tolist(), part.vectors, strict=True))
        self.record = after

    def candidates(self, vectors: torch.Tensor, k: int, where: Where) -> list[Ids]:
        self.asked += len(vectors)
        here = np.array(sorted(self.vectors), np.int64)
        table = torch.stack([self.vectors[row] for row in here.tolist()])
        return [here[torch.cdist(row[None], table)[0].argsort()[:k].numpy()] for row in vectors]

    def ids(self, below: int) -> Ids:
        return np.array(sorted(row for row in self.vectors if row < below), np.int64)

    def drop(self) -> None:
        self.vectors, self.record = {}, NOTHING

    def close(self) -> None:
        pass


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, asked: list[int]) -> Database:
    made = Database()
    monkeypatch.setattr(attached, "open_engine", lambda *_: made)
    return made


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    made = filled(tmp_path / "g", COUNT, COUNT)
    made.attach("postgresql://me@localhost/db")
    assert len(database.vectors) == 2 * COUNT
    return made


def lose_the_second_shard(store: Store) -> tuple[Path, bytes]:
    shard = store.shards[1]
    file, whole = store.path / "shards" / shard.entry.name, shard.entry
    content = file.read_bytes()
    file.write_bytes(content[: whole.bytes // 2])
    lost = Store(store.path)
    assert lost.lost == COUNT
    part = images(1, seed=7)
    lost.add(part, facts_of(part))
    return file, content


def answers_are_exact(store: Store, query: torch.Tensor = LATE) -> None:
    assert ids(store.search(query, 5)) == exact(store, query, 5)


def test_lost_rows_that_are_back_are_found(store: Store, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    file, content = lose_the_second_shard(store)
    assert len(database.vectors) == COUNT + 1
    file.write_bytes(content)
    caplog.clear()
    back = Store(store.path)
    assert len(database.vectors) == len(back) == 2 * COUNT + 1
    assert ids(back.search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    answers_are_exact(back, queries())
    assert database.asked == 20 + len(queries())
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == ["300 rows that were lost are back"]


def test_rows_that_are_back_while_the_engine_is_away(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, content = lose_the_second_shard(store)
    file.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", fail)
        back = Store(store.path)
    assert ids(back.search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    assert "may lack rows" in caplog.text
    assert database.asked == 0
    part = images(1, seed=8)
    back.add(part, facts_of(part))
    answers_are_exact(Store(store.path))
    assert back.sync().added == len(back)
    answers_are_exact(back)
    assert database.asked == 20


def test_a_copy_that_deletes_takes_no_row_from_the_original(
    store: Store, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers_are_exact(store)
    copy = Store(shutil.copytree(store.path, tmp_path / "copy"))
    copy.delete(range(COUNT - 10, COUNT + 100), scan=False)
    answers_are_exact(copy)
    assert database.asked == 40
    assert ids(store.search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    assert ids(Store(store.path).search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    assert database.asked == 40
    assert "a copy of the gallery has changed it" in caplog.text
    assert f"Fix: passerby gallery engine {store.path} sync" in caplog.text


def test_copies_that_add_other_images_under_the_same_ids(
    store: Store, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Store(shutil.copytree(store.path, tmp_path / "copy"))
    others, own = images(30, seed=20), images(10, seed=21)
    copy.add(others, facts_of(others))
    store.add(own, facts_of(own))
    assert "is on the disk, but not in the engine: the engine may lack rows" in caplog.text
    for each, added in ((store, own), (copy, others)):
        assert [row[0] for row in ids(each.search(added.embedding, 1))] == list(range(600, 600 + len(added)))
    assert database.asked == 30
    store.sync()
    assert [row[0] for row in ids(store.search(own.embedding, 1))] == list(range(600, 610))
    assert database.asked == 40
    answers_are_exact(copy, others.embedding)
    assert database.asked == 40


def test_a_folder_that_was_restored_is_searched_without_the_newer_engine(
    store: Store, database: Database, tmp_path: Path
) -> None:
    kept = shutil.copytree(store.path, tmp_path / "kept")
    store.delete(range(COUNT, COUNT + 50), scan=False)
    shutil.rmtree(store.path)
    shutil.copytree(kept, store.path)
    restored = Store(store.path)
    assert ids(restored.search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    assert database.asked == 0
    restored.engine.required = True  # type: ignore[union-attr]
    with pytest.raises(EngineError, match="may lack rows"):
        restored.search(LATE, 1)


def test_an_engine_that_changes_during_a_search(
    store: Store, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, real = Store(shutil.copytree(store.path, tmp_path / "copy")), database.candidates

    def late(*given: Any) -> list[Ids]:
        if database.asked == 0:
            copy.delete(range(COUNT, COUNT + 50), scan=False)
        return real(*given)

    monkeypatch.setattr(database, "candidates", late)
    assert ids(store.search(LATE, 1)) == [[COUNT + row] for row in range(20)]
    assert len(database.vectors) == 2 * COUNT - 50
    assert database.asked == 20


def test_a_reader_that_is_behind_the_writer_relies_on_the_engine(
    store: Store, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Store(store.path)
    assert reader.engine is not None
    before, shards = reader.manifest, reader.select(Where())
    for seed in range(30, 33):
        part = images(3, seed=seed)
        store.add(part, facts_of(part))
    store.delete([5], scan=False)
    found = reader.engine.search(before, shards, LATE, 1, Where())
    assert found.indices[:, 0].tolist() == [COUNT + row for row in range(20)]
    assert database.asked == 20
    assert not caplog.records


def test_an_engine_that_lags_is_asked(store: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", fail)
        for seed in range(30, 34):
            part = images(3, seed=seed)
            store.add(part, facts_of(part))
        store.delete([COUNT], scan=False)
    answers_are_exact(store)
    assert database.asked == 20
    store.delete([0], scan=False)
    assert sorted(database.vectors) == store.ids()
