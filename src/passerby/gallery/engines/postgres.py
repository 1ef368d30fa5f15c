"""PostgreSQL with pgvector (0.8 or newer) as an engine: one table per gallery in the schema ``passerby``.

What a write adds and deletes and the record of it are one transaction, so an engine holds all of a change or nothing.
The graph (HNSW; Malkov and Yashunin, TPAMI 2020) is asked by iterative scans: with conditions it is walked on until
enough rows satisfy them. A read replica serves searches: what it holds is read from itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError
from passerby.gallery.engines.address import Address
from passerby.gallery.engines.postgres_rows import COLUMNS, copied
from passerby.gallery.engines.postgres_session import Session
from passerby.gallery.engines.protocol import NOTHING, EngineError, Held, Ids, Rows
from passerby.gallery.store.where import Where

_ANSWER = 30.0
"""The seconds to wait for the answer to a search."""
_WIDEST, _WIDEST_HALF = 2000, 4000
"""The most dimensions that pgvector indexes, of 32 and of 16 bits."""
_EF_MOST = 1000
"""The largest number of candidates that the graph is walked with at a time."""
_ITERATIVE = (0, 8)
"""The version of pgvector that has iterative scans."""
_SETTINGS = (
    "SET enable_seqscan = off",
    "SET hnsw.iterative_scan = relaxed_order",
    "SET hnsw.max_scan_tuples = 200000",
)
_EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
T = TypeVar("T")


class Postgres:
    """The rows of one gallery in a PostgreSQL database.

    Args:
        address: the server, which may be a read replica.
        gallery: the random name of the gallery, 32 hexadecimal digits.
        dimensions: the length of an embedding.
        normalize: whether embeddings are L2-normalized; then they are stored in 16 bits.

    Raises:
        ConfigError: if the database cannot index so long vectors.
    """

    keeps_deleted = "until it is rebuilt"

    def __init__(self, address: Address, gallery: str, dimensions: int, *, normalize: bool) -> None:
        self._half = normalize or dimensions > _WIDEST
        if dimensions > _WIDEST_HALF:
            raise ConfigError(
                f"pgvector indexes at most {_WIDEST_HALF:,} dimensions, the gallery has {dimensions:,}. Fix: attach "
                "another engine, or none"
            )
        if not re.fullmatch("[0-9a-f]{32}", gallery):
            raise ConfigError(f"no name of a gallery: got {gallery!r}, expected 32 hexadecimal digits. Fix: create it")
        self._address, self._gallery = address, gallery
        self._table, self._type = f"passerby.g_{gallery}", f"{'halfvec' if self._half else 'vector'}({dimensions})"
        self._session: Session | None = None
        self._told: Held | None = None

    def held(self, newest: int, version: int) -> Held:
        """Return what the server holds; a replica may hold less than its primary."""
        del newest, version
        self._told = self._ask(self._recorded)
        return self._told

    def visible(self, newest: int, version: int) -> Held:
        """Return what searches see: all that is recorded, since records and rows are written in one transaction."""
        return self._told if self._told == (newest, version) else self.held(newest, version)

    def write(self, added: Iterable[Rows], deleted: Sequence[int], after: Held) -> None:
        """Add and delete rows in one transaction; the index is made after the first rows, which takes less time."""
        self._told = None
        with self._writing() as session:
            self._create(session)
            session.run("START TRANSACTION")
            session.run("SELECT 1 FROM passerby.galleries WHERE gallery = :g FOR UPDATE", g=self._gallery)
            gone = session.value(
                f"WITH gone AS (DELETE FROM {self._table} WHERE id = ANY(CAST(:ids AS bigint[])) RETURNING 1) "
                "SELECT count(*) FROM gone",
                ids=list(deleted),
            )
            columns = ", ".join(COLUMNS)
            session.run(
                f"COPY {self._table} ({columns}) FROM STDIN WITH (FORMAT binary)",
                stream=copied(added, half=self._half),
            )
            session.run(
                "UPDATE passerby.galleries SET last_id = :last, version = :version, deleted = deleted + :gone "
                "WHERE gallery = :g",
                last=after.last_id,
                version=after.version,
                gone=gone,
                g=self._gallery,
            )
            session.run("COMMIT")
            self._build_index(session)

    def candidates(self, vectors: Float[Tensor, "q d"], k: int, where: Where) -> list[Ids]:
        """Return the IDs of the nearest rows by the graph."""
        conditions, values = sql_of(where)
        query = (
            f"SELECT id FROM {self._table} WHERE {conditions} "
            f"ORDER BY embedding <-> CAST(:vector AS {self._type}) LIMIT {int(k)}"
        )

        def found(session: Session) -> list[Ids]:
            session.run(f"SET hnsw.ef_search = {min(max(int(k), 1), _EF_MOST)}")
            texts = (f"[{','.join(map(repr, vector))}]" for vector in vectors.tolist())
            return [_ids(session.run(query, vector=text, **values)) for text in texts]

        return self._ask(found)

    def count(self, where: Where) -> int:
        """Return how many rows satisfy conditions."""
        conditions, values = sql_of(where)
        query = f"SELECT count(*) FROM {self._table} WHERE {conditions}"
        return self._ask(lambda session: int(session.value(query, **values)))

    def ids(self, below: int) -> Ids:
        """Return the IDs below one."""
        with self._writing() as session:
            if session.value("SELECT to_regclass(:name)", name=self._table) is None:
                return _ids([])
            return np.sort(_ids(session.run(f"SELECT id FROM {self._table} WHERE id < :below", below=below)))

    def rebuild(self, rows: Iterable[Rows], after: Held) -> list[str]:  # noqa: ARG002 - the server has all it needs
        """Rewrite table and index, and have the log (WAL) of earlier changes removed as far as rights reach."""
        with self._writing() as session:
            session.run(f"VACUUM (FULL, ANALYZE) {self._table}")
            session.run("UPDATE passerby.galleries SET deleted = 0 WHERE gallery = :g", g=self._gallery)
            return _drop_log(session)

    def deleted(self) -> int:
        """Return how many deleted rows table and index may still hold."""
        query = "SELECT deleted FROM passerby.galleries WHERE gallery = :g"
        return self._ask(lambda session: int(session.value(query, g=self._gallery) or 0) if _has(session) else 0)

    def about(self) -> dict[str, str | int]:
        """Return versions and size."""

        def read(session: Session) -> dict[str, str | int]:
            [[server, extension, replica, size]] = session.run(
                f"SELECT current_setting('server_version'), ({_EXTENSION}), pg_is_in_recovery(), "
                "pg_total_relation_size(to_regclass(:name))",
                name=self._table,
            )
            kind = ", a read replica" if replica else ""
            return {"product": f"PostgreSQL {server}, pgvector {extension or '(none)'}{kind}", "bytes": int(size or 0)}

        return self._ask(read)

    def drop(self) -> None:
        """Remove the gallery's table and record."""
        self._told = None
        with self._writing() as session:
            session.run(f"DROP TABLE IF EXISTS {self._table}")
            if _has(session):
                session.run("DELETE FROM passerby.galleries WHERE gallery = :g", g=self._gallery)
            _drop_log(session)

    def close(self) -> None:
        """Close the connection that searches use."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _recorded(self, session: Session) -> Held:
        if not _has(session):
            return NOTHING
        found = session.run("SELECT last_id, version FROM passerby.galleries WHERE gallery = :g", g=self._gallery)
        return Held(*map(int, found[0])) if found else NOTHING

    def _create(self, session: Session) -> None:
        """Create extension, schema and tables where they are missing."""
        if session.value(_EXTENSION) is None:
            session.run("CREATE EXTENSION vector")
        found = session.value(_EXTENSION)
        if tuple(map(int, found.split(".")[:2])) < _ITERATIVE:
            raise EngineError(
                f"{self._address} has pgvector {found}, expected 0.8 or newer. Fix: install it on the server, and run "
                "ALTER EXTENSION vector UPDATE"
            )
        if not _has(session):
            session.run("CREATE SCHEMA IF NOT EXISTS passerby")
            session.run(
                "CREATE TABLE IF NOT EXISTS passerby.galleries (gallery text PRIMARY KEY, last_id bigint NOT NULL, "
                "version bigint NOT NULL, deleted bigint NOT NULL DEFAULT 0)"
            )
        if session.value("SELECT to_regclass(:name)", name=self._table) is None:
            session.run(
                f"CREATE TABLE {self._table} (id bigint PRIMARY KEY, junk boolean NOT NULL, camera bigint, "
                f"person bigint, taken bigint, tags text[] NOT NULL, collection text, embedding {self._type} NOT NULL)"
            )
        session.run(
            "INSERT INTO passerby.galleries VALUES (:g, -1, -1) ON CONFLICT (gallery) DO NOTHING", g=self._gallery
        )

    def _build_index(self, session: Session) -> None:
        operators = f"{'halfvec' if self._half else 'vector'}_l2_ops"
        session.run(
            f"CREATE INDEX IF NOT EXISTS g_{self._gallery}_embedding ON {self._table} USING hnsw "
            f"(embedding {operators}) WITH (m = 16, ef_construction = 128)"
        )

    def _ask(self, question: Callable[[Session], T]) -> T:
        """Return the answer to a question; if the connection turns out to be lost, it is asked once more."""
        if self._session is not None:
            try:
                return question(self._session)
            except EngineError:
                lost = self._session.lost
                self.close()
                if not lost:
                    raise
        self._session = Session(self._address, patience=_ANSWER)
        try:
            if self._session.value(_EXTENSION) is not None:
                self._session.run("SELECT CAST('[1]' AS vector)")  # loads the library, which knows the settings
                for setting in _SETTINGS:
                    self._session.run(setting)
            return question(self._session)
        except EngineError:
            self.close()
            raise

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """Open a connection for work that takes as long as it takes, such as making an index."""
        session = Session(self._address, patience=None)
        try:
            yield session
        finally:
            session.close()


def sql_of(where: Where) -> tuple[str, dict[str, Any]]:
    """Return conditions as SQL with named values; attributes and IDs are left to the shards."""
    found, values = ["TRUE" if where.junk else "NOT junk"], dict[str, Any]()

    def ask(condition: str, name: str, value: Any) -> None:
        found.append(condition)
        values[name] = value

    if where.cameras:
        ask("camera = ANY(CAST(:cameras AS bigint[]))", "cameras", list(where.cameras))
    if where.not_cameras:
        ask("(camera = ANY(CAST(:without AS bigint[]))) IS NOT TRUE", "without", list(where.not_cameras))
    if where.people:
        ask("person = ANY(CAST(:people AS bigint[]))", "people", list(where.people))
    if where.taken_from is not None:
        ask("taken >= CAST(:since AS bigint)", "since", where.taken_from)
    if where.taken_before is not None:
        ask("taken < CAST(:before AS bigint)", "before", where.taken_before)
    if where.tags:
        ask("tags @> CAST(:tags AS text[])", "tags", list(where.tags))
    if where.collections:
        ask("collection = ANY(CAST(:collections AS text[]))", "collections", list(where.collections))
    return " AND ".join(found), values


def _has(session: Session) -> bool:
    """Return whether the database has records of galleries."""
    return session.value("SELECT to_regclass('passerby.galleries')") is not None


def _drop_log(session: Session) -> list[str]:
    """Remove the log of earlier changes as far as rights reach, and return what stands in the way, in sentences."""
    left = []
    for statement in ("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT"):
        try:
            session.run(statement)
        except EngineError as error:  # noqa: PERF203 - three statements
            if session.lost:
                raise
            left.append(f"{statement} failed, so the log keeps earlier rows for a while: {error}")
    for setting, expected, why in _LOG:
        if (found := session.value("SELECT current_setting(:name)", name=setting)) != expected:
            left.append(f"{setting} is {found}, so {why}. Fix: an administrator sets it to {expected}")
    if replicas := session.value("SELECT count(*) FROM pg_replication_slots"):
        left.append(f"{replicas:,} replication slots keep the log until replicas have read it, and restarted from it")
    return left


_LOG = (
    ("wal_recycle", "off", "files of the log are kept for new content with their old one in them"),
    ("archive_mode", "off", "the log is archived, and its archive holds earlier rows"),
    ("wal_keep_size", "0", "the log is kept for replicas"),
)
"""The settings that decide what remains of the log, what they should be, and why."""


def _ids(found: Sequence[Sequence[int]]) -> Ids:
    return np.array([row[0] for row in found], np.int64)
