"""PostgreSQL: what was deleted leaves the server's folder, a standby serves, and passwords stay where they belong."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.gallery.engines.conftest import USER, PostgresServer
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, facts, rows

from passerby.errors import ConfigError
from passerby.gallery.engines.address import parsed, postgres_password
from passerby.gallery.engines.protocol import EngineError
from passerby.gallery.store.scan import Needles
from passerby.gallery.store.store import Store


@pytest.fixture
def store(postgres: PostgresServer, _password: None, tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    part = rows(600)
    made.add(part, facts(part))
    made.attach(postgres.url)
    yield made
    if made.engine:
        made.detach()
        assert made.engine is None


def needles(vectors: torch.Tensor) -> Needles:
    """Look for the vectors as the server stores them: L2-normalized, in 16 bits."""
    found = Needles(DIMENSIONS)
    found.add(torch.nn.functional.normalize(vectors).half().numpy())  # type: ignore[arg-type]
    return found


def test_no_file_of_the_server_holds_a_deleted_vector_once_it_is_rebuilt(
    store: Store, postgres: PostgresServer
) -> None:
    everyone = rows(600).embedding
    gone, kept = needles(everyone[100:300]), needles(everyone[300:])
    assert gone.scan(postgres.data)[1] == 200
    store.delete(range(100, 300))
    assert gone.scan(postgres.data)[1] == 200, "PostgreSQL keeps the bytes of deleted rows"
    assert store.rebuild() == []
    assert gone.scan(postgres.data)[1] == 0
    assert kept.scan(postgres.data)[1] == 300


def test_what_an_administrator_has_to_do_is_said(store: Store, postgres: PostgresServer) -> None:
    session = _administrator(postgres)
    for statement in ("DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN PASSWORD 'secret'",
                      "GRANT USAGE, CREATE ON SCHEMA passerby TO clerk", "GRANT ALL ON DATABASE postgres TO clerk",
                      "GRANT ALL ON passerby.galleries TO clerk"):  # fmt: skip
        session.run(statement)
    store.detach()
    store.attach(postgres.url.replace("postgres@", "clerk@"))
    left = store.rebuild()
    assert any("CHECKPOINT" in each for each in left)
    assert any("pg_switch_wal" in each for each in left)
    store.detach()
    session.run("DROP OWNED BY clerk")
    session.run("DROP ROLE clerk")
    session.close()


def _administrator(postgres: PostgresServer):
    from passerby.gallery.engines.postgres_session import Session

    return Session(parsed(postgres.url), patience=30)


def test_a_server_that_was_started_again_is_asked_again(
    store: Store, postgres: PostgresServer, asked: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    query = rows(3).embedding
    store.search(query, 3)
    postgres.stop()
    found = store.search(query, 3)
    assert "take longer" in caplog.text
    assert "secret" not in caplog.text
    postgres.start()
    assert len(asked) == 3
    assert store.engine is not None
    store.engine.required = True
    again = store.search(query, 3)
    assert [[hit.place for hit in each] for each in again] == [[hit.place for hit in each] for each in found]
    assert len(asked) == 6


@pytest.fixture
def standby(postgres: PostgresServer, _password: None) -> Iterator[PostgresServer]:
    home = Path(tempfile.mkdtemp(prefix="standby"))
    if USER:
        shutil.chown(home, USER)
    copy = PostgresServer(postgres.programs, home / "data")
    source = f"host=127.0.0.1 port={postgres.port} user=postgres"
    copy.run("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-d", source, "-D", copy.data)
    copy.start()
    try:
        yield copy
    finally:
        copy.stop()
        shutil.rmtree(home)


def test_a_streaming_standby_serves_searches(
    store: Store, standby: PostgresServer, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader asks the standby; rows that it has not replayed yet are searched in the shards."""
    from passerby.gallery.engines.attached import Attached

    reader = Store(store.path)
    reader._engine = Attached(str(store.path), reader.manifest.model_copy(update={"engine": standby.url}))
    reader._engine.address, reader._engine.required = reader.manifest.engine, True
    assert "a read replica" in str(reader._engine.engine.about()["product"])
    _wait_for(reader, store)
    query = rows(5).embedding
    assert [int(hits[0].shard.ids[hits[0].place]) for hits in reader.search(query, 3)] == list(range(5))
    assert len(asked) == 5
    session = _administrator(standby)
    session.run("SELECT pg_wal_replay_pause()")
    new = rows(4, seed=9)
    added = store.add(new, facts(new)).ids
    store.delete([0])
    found = reader.search(torch.cat([new.embedding, query[:1]]), 3)
    assert [int(hits[0].shard.ids[hits[0].place]) for hits in found[:4]] == list(added)
    assert all(int(hit.shard.ids[hit.place]) != 0 for hit in found[4])
    assert reader._engine.engine.held(added[-1], reader.manifest.shards_version).last_id < added[-1]
    session.run("SELECT pg_wal_replay_resume()")
    session.close()
    _wait_for(reader, store)
    np.testing.assert_array_equal(reader._engine.engine.ids(10**4), store.ids())
    with pytest.raises(EngineError, match="Fix: write to the primary"):
        reader._engine.bring(reader.manifest.model_copy(update={"next_id": 10**6}), store.shards)


def _wait_for(reader: Store, store: Store) -> None:
    assert reader._engine is not None
    newest, version = store.manifest.next_id - 1, store.manifest.shards_version
    for _ in range(300):
        reader._engine.engine.close()
        reader._engine.engine._told = None  # type: ignore[attr-defined]
        if reader._engine.engine.held(newest, version) == (newest, version):
            return
        time.sleep(0.1)
    raise AssertionError("the standby has not caught up")


def test_a_wrong_password_is_an_error_that_does_not_show_it(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "guessed")
    made = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    with pytest.raises(EngineError, match="Fix: set the password in PGPASSWORD") as wrong:
        made.attach(postgres.url)
    assert "guessed" not in str(wrong.value)
    assert Store(made.path).engine is None
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "pgpass"
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    passwords.write_text(f"other:1:*:*:no\n127.0.0.1:{postgres.port}:*:postgres:secret\n")
    passwords.chmod(0o644)
    with pytest.raises(EngineError, match="chmod 600"):
        made.attach(postgres.url)
    passwords.chmod(0o600)
    made.attach(postgres.url)
    assert "secret" not in (made.path / "manifest.json").read_text()
    made.detach()


@pytest.mark.usefixtures("_password")
def test_encryption_is_demanded_of_servers_elsewhere(postgres: PostgresServer, tmp_path: Path) -> None:
    made = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    for mode in ("require", "verify"):
        with pytest.raises(EngineError):
            made.attach(f"{postgres.url}?tls={mode}")
    assert parsed("postgresql://db.example.org/people").tls == "verify"
    assert parsed("postgresql://127.0.0.1/people").tls == "off"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:hunter2@host/db", "PGPASSWORD"),
        ("milvus://root:hunter2@host", "MILVUS_TOKEN"),
        ("postgresql://host/db?password=hunter2", "PGPASSWORD"),
        ("mysql://host/db", "no address"),
        ("postgresql:///db", "no address"),
        ("postgresql://host:x/db", "no address"),
        ("postgresql://host/db?sslmode=disable", "unknown option"),
        ("postgresql//me:hunter2@host/db", "PGPASSWORD"),
        ("postgresql:/me:hunter2@host/db", "PGPASSWORD"),
        ("me:hunter2@host:5432/db", "PGPASSWORD"),
        ("postgres://me@host/db?pwd=hunter2", "PGPASSWORD"),
        ("postgresql://me@host/db?hunter2", "PGPASSWORD"),
        ("postgresql://me@host/db?hunter2=1", "PGPASSWORD"),
        ("postgresql://me@host/db?tls=hunter2", "tls is"),
        ("postgresql://me:hunter2/x@host/db", "PGPASSWORD"),
        ("postgresql://me:123/hunter2@host/db", "PGPASSWORD"),
        ("postgresql://me:hunter2#x@host/db", "PGPASSWORD"),
        ("postgresql://me:hunter2?x@host/db", "PGPASSWORD"),
        ("postgresql://me%3Ahunter2@host/db", "PGPASSWORD"),
        ("postgresql://me@hunter2@host/db", "PGPASSWORD"),
        ("postgresql://host:99999/db", "no address"),
        ("postgresql://host/db\nhunter2", "no address"),
        ("postgresql://host/db?tls=maybe", "tls is one of"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as wrong:
        parsed(url)
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me%40here@[::1]:5433/a%20b?tls=require", "milvus://db:1/x", "postgresql://h:5432/"]
)
def test_an_address_is_stored_as_it_is_written(url: str) -> None:
    assert str(parsed(url)) == url


def test_a_password_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "p"))
    (tmp_path / "p").write_text("# comment\nh:5432:db:me:a\\:b\\\\c\n*:*:*:*:rest\n")
    (tmp_path / "p").chmod(0o600)
    assert postgres_password(parsed("postgresql://me@h/db")) == r"a:b\c"
    assert postgres_password(parsed("postgresql://you@h/db")) == "rest"
