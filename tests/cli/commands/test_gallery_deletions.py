"""Deletions that were killed half-way, and are tried again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gallery.store.conftest import filled, rows

from passerby.gallery.engines import attached
from passerby.gallery.engines.protocol import NOTHING, Held, Ids, Rows
from passerby.gallery.store import Store
from passerby.gallery.store.verify import verify

Run = Callable[..., Any]


class Numbers:
    """An engine that holds the IDs of rows, and can tell of them what an update asks."""

    def __init__(self) -> None:
        self.there: set[int] = set()
        self.recorded = NOTHING

    def held(self, *_: int) -> Held:
        return self.recorded

    def ids(self, below: int) -> Ids:
        return np.array(sorted(row for row in self.there if row < below), np.int64)

    def write(self, added: Iterable[Rows], deleted: Sequence[int], after: Held) -> None:
        self.there -= set(deleted)
        self.there.update(row for some in added for row in some.ids.tolist())
        self.recorded = after

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Numbers:
    made = Numbers()
    monkeypatch.setattr(attached, "open_engine", lambda *_: made)
    return made


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_retry_reaches_the_engine(run: Run, tmp_path: Path, engine: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "people.gallery"
    store = filled(folder, 5, 6)
    store.attach("postgresql://somebody@localhost/people")
    assert engine.there == set(range(11))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_tell_engine", killed)
        with pytest.raises(KeyboardInterrupt):
            Store(folder).delete([3])
    assert 3 in engine.there
    assert 3 not in Store(folder).ids()
    done = run("gallery", "delete", folder, "--id", 3, "--yes")
    assert (done.code, "No row of" in done.out) == (0, True)
    assert engine.there == set(range(11)) - {3}


def test_a_retry_removes_what_was_set_aside(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "people.gallery"
    vectors = rows(6, seed=1).embedding
    store = filled(folder, 5, 6)
    file = folder / "shards" / store.shards[1].entry.name
    os.truncate(file, file.stat().st_size - 1)
    left = Store(folder).path / "set-aside" / file.name
    content = left.read_bytes()
    Store(folder).delete([3])
    left.with_name("0123456789abcdef.arrow").write_bytes(content)  # no manifest tells of it
    assert verify(folder, vectors=vectors).problems
    done = run("gallery", "delete", folder, "--id", 3, "--yes")
    assert (done.code, "No row of" in done.out) == (0, True)
    assert not verify(folder, vectors=vectors).problems


def test_a_retry_keeps_damaged_shards_that_are_reported(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "people.gallery"
    store = filled(folder, 5, 6)
    file = folder / "shards" / store.shards[1].entry.name
    os.truncate(file, file.stat().st_size - 1)
    Store(folder).finish_deletions()
    assert Store(folder).lost == 6
    assert (folder / "set-aside" / file.name).exists()
    assert "Fix: remove these shards with --set-aside" in run("gallery", "delete", folder, "--id", 77, "--yes").err
    assert (folder / "set-aside" / file.name).exists()
