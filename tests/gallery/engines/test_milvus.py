"""Milvus: its log and its files after a deletion, and what Bounded searches are relied on for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.gallery.engines.conftest import MilvusServer
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, facts, rows

from passerby.gallery.engines import milvus as module
from passerby.gallery.store.scan import Needles
from passerby.gallery.store.store import Store


@pytest.fixture
def store(milvus: MilvusServer, tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    part = rows(600)
    made.add(part, facts(part))
    made.attach(milvus.url)
    yield made
    if made.engine:
        made.detach()


def engine_of(store: Store) -> Any:
    assert store.engine is not None
    return store.engine.engine


def test_bounded_searches_are_relied_on_once_the_time_has_passed(
    store: Store, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, version = engine_of(store), store.manifest.shards_version
    assert engine.visible(599, version) == (599, version)
    assert engine._level == "Strong"
    engine._learned = [(last, at - module._GRACE) for last, at in engine._learned]
    assert engine.visible(599, version) == (599, version)
    assert engine._level == "Bounded"
    new = rows(5, seed=3)
    added = store.add(new, facts(new)).ids
    version = store.manifest.shards_version
    assert engine.visible(added[-1], version).last_id == 599
    assert engine.held(added[-1], version).last_id == added[-1]
    assert engine._level == "Bounded"
    assert [int(hits[0].shard.ids[hits[0].place]) for hits in store.search(new.embedding, 3)] == list(added)
    assert len(asked) == 5
    monkeypatch.setattr(module, "_MANY", 4)
    assert engine.visible(added[-1], version).last_id == added[-1]
    assert engine._level == "Strong"


def present(needles: Needles, server: MilvusServer) -> int:
    """Return how many vectors a folder of the server holds, its log too; it removes files meanwhile."""
    while True:
        with suppress(FileNotFoundError):
            return max(needles.scan(folder)[1] for folder in server.data.iterdir() if folder.is_dir())


def test_no_file_of_a_server_that_is_set_so_holds_a_deleted_vector_a_while_later(
    store: Store, milvus: MilvusServer
) -> None:
    everyone = torch.nn.functional.normalize(rows(600).embedding)
    gone = Needles(DIMENSIONS)
    gone.add(everyone[100:300].numpy())
    engine_of(store)._client().flush(engine_of(store)._alias)
    store.delete(range(100, 300))
    assert present(gone, milvus) > 0, "Milvus keeps the bytes of deleted rows"
    assert any("message log" in each for each in store.rebuild())
    end = time.monotonic() + 120
    while (left := present(gone, milvus)) and time.monotonic() < end:
        time.sleep(1)
    assert left == 0


def test_words_are_stored_as_numbers() -> None:
    assert module.hashed("entrance") == module.hashed("entrance") != module.hashed("exit")
    assert 0 <= module.hashed("☂") < 2**62
