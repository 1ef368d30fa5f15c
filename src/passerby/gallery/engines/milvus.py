"""Milvus (2.3 or newer) as an engine: one collection per gallery, under the alias ``passerby_`` and the gallery's name.

Searches have Bounded consistency: they may miss what was written in the last seconds. A row below 0 records what the
collection holds. Until :data:`_GRACE` seconds after a process has read such a record, it does not rely on searches for
the rows that are new in it: they are searched in the shards, or, where they are many, with Strong consistency.

Milvus has no transactions: the record is written after the rows, so that a write that fails is done again. Words (tags,
collections) are stored as hashes, which conditions compare: texts do not leave the gallery, and none is too long.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError, first_line
from passerby.gallery.engines.address import Address
from passerby.gallery.engines.protocol import NOTHING, EngineError, Held, Ids, Rows
from passerby.gallery.store.where import Where

UNKNOWN = -(2**62)
"""The number that stands for what is not known: fields have no nulls before Milvus 2.5."""
_RECORD = -1
"""The ID of the row that records what the collection holds: camera is the last ID, person the version, taken the number
of rows that were deleted."""
_GRACE = 10.0
"""The seconds after which Bounded searches see what was written: Milvus's ``gracefulTime`` is 5."""
_FRESH = 5.0
"""The seconds after which the record is read anew: another copy of the gallery may have changed the collection."""
_MANY = 50_000
"""The number of rows above which new rows are not searched in the shards."""
_REQUEST = 1 << 24
"""The bytes of vectors that are sent at a time."""
_ANSWER = 30.0
"""The seconds to wait for an answer."""
_FLUSHED = 10_000
"""The number of new rows from which the collection's segment is closed, so that an index of it is made."""
_IDS = 10_000
"""The number of IDs that are sent at a time."""
_QUERIES = 64
_TAGS = 4096
"""The most tags of a row that Milvus holds."""
_GRAPH = {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 24, "efConstruction": 200}}
T = TypeVar("T")


class Milvus:
    """The rows of one gallery in a Milvus server or cluster.

    Args:
        address: the server; its database is ``default`` unless the address names one.
        gallery: the random name of the gallery, 32 hexadecimal digits.
        dimensions: the length of an embedding.

    Raises:
        ConfigError: if the address asks for what Milvus does not have, or the name is none.
    """

    keeps_deleted = "until it is rebuilt and, after that, until its server removes them, which passerby cannot hasten"

    def __init__(self, address: Address, gallery: str, dimensions: int) -> None:
        if not re.fullmatch("[0-9a-f]{32}", gallery):
            raise ConfigError(f"no name of a gallery: got {gallery!r}, expected 32 hexadecimal digits. Fix: create it")
        if address.tls == "require":
            raise ConfigError("Milvus checks certificates or does not encrypt. Fix: write tls=verify or tls=off")
        self._address, self._dimensions = address, dimensions
        self._alias = f"passerby_{gallery}"
        self._open: Any = None
        self._told = NOTHING, 0.0
        self._learned: list[tuple[int, float]] = []
        self._level = "Bounded"

    def held(self, newest: int, version: int) -> Held:
        """Return what the collection holds, by its record."""
        told, at = self._told
        if told != (newest, version) or time.monotonic() - at >= _FRESH:
            self._tell(told := self._ask(lambda client: self._record(client)[0]))
        return told

    def visible(self, newest: int, version: int) -> Held:
        """Return what searches see: of what was written a moment ago, they may lack some."""
        held, now = self.held(newest, version), time.monotonic()
        settled = max((last for last, at in self._learned if now - at >= _GRACE), default=None)
        self._level = "Bounded"
        if settled is None or held.last_id - settled > _MANY:
            self._level = "Strong"
            return held
        return Held(min(settled, held.last_id), held.version)

    def write(self, added: Iterable[Rows], deleted: Sequence[int], after: Held) -> None:
        """Delete and add rows, and record it."""
        self._told = NOTHING, 0.0
        client = self._client()
        with _errors(self._address):
            if self._collection(client) is None:
                client.create_alias(self._create(client), self._alias)
            _, gone = self._record(client)
            for first in range(0, len(deleted), _IDS):
                client.delete(self._alias, ids=list(deleted[first : first + _IDS]))
            self._fill(client, self._alias, added, after, gone + len(deleted))
        self._tell(after)

    def candidates(self, vectors: Float[Tensor, "q d"], k: int, where: Where) -> list[Ids]:
        """Return the IDs of the nearest rows by the graph."""
        condition = expression_of(where)

        def found(client: Any) -> list[Ids]:
            answers: list[Ids] = []
            for part in vectors.float().split(_QUERIES):
                hits = client.search(
                    self._alias,
                    data=list(part.numpy()),
                    limit=k,
                    filter=condition,
                    search_params={"metric_type": "L2", "params": {"ef": max(k, 2)}},
                    consistency_level=self._level,
                    timeout=_ANSWER,
                )
                answers += [np.array([hit["id"] for hit in each], np.int64) for each in hits]
            return answers

        return self._ask(found)

    def count(self, where: Where) -> int:
        """Return how many rows satisfy conditions."""
        condition = " and ".join(filter(None, ("id >= 0", expression_of(where))))
        [found] = self._ask(lambda client: self._query(client, condition, ["count(*)"]))
        return int(found["count(*)"])

    def ids(self, below: int) -> Ids:
        """Return the IDs below one, by ranges: pages of one query may be from before some deletions."""

        def read(client: Any) -> Ids:
            found: list[int] = []
            for first in range(0, below if self._collection(client) else 0, _IDS):
                condition = f"id >= {first} and id < {min(first + _IDS, below)}"
                found += [int(row["id"]) for row in self._query(client, condition, ["id"])]
            return np.unique(np.array(found, np.int64))

        return self._ask(read)

    def rebuild(self, rows: Iterable[Rows], after: Held) -> list[str]:
        """Make a new collection of the gallery's rows, let searches ask that one, and drop the former."""
        self._told, client = (NOTHING, 0.0), self._client()
        with _errors(self._address):
            former = self._collection(client)
            name = self._create(client)
            self._fill(client, name, rows, after, 0)
            client.flush(name)
            if former is None:
                client.create_alias(name, self._alias)
            else:
                client.alter_alias(name, self._alias)
            self._drop_all(client, but=name)
        self._learned = []
        self._tell(after)
        return [
            "in the files of the former collection, until dataCoord.gc.dropTolerance has passed (3 hours unless it is "
            "set)",
            "in its message log (rocksmq, Pulsar, Kafka), for as long as the settings of the log keep messages, which "
            "may be for good. Fix: set them (docs/engines.md)",
        ]

    def deleted(self) -> int:
        """Return how many deleted rows the collection's files may still hold."""
        return self._ask(lambda client: self._record(client)[1])

    def about(self) -> dict[str, str | int]:
        """Return the version; Milvus does not tell the size on its disk."""
        return self._ask(lambda client: {"product": f"Milvus {client.get_server_version()}"})

    def drop(self) -> None:
        """Remove the gallery's collections."""
        self._told, self._learned = (NOTHING, 0.0), []
        self._ask(self._drop_all)

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def _tell(self, held: Held) -> None:
        now = time.monotonic()
        old = [each for each in self._learned if now - each[1] >= _GRACE][-1:]
        recent = [each for each in self._learned if now - each[1] < _GRACE]
        self._told, self._learned = (held, now), [*old, *recent, (held.last_id, now)]

    def _fill(self, client: Any, name: str, rows: Iterable[Rows], after: Held, gone: int) -> None:
        """Insert rows, then the record of what the collection holds."""
        inserted = 0
        for batch in rows:
            for part in _parts(batch, self._dimensions):
                client.insert(name, part)
                inserted += len(part)
        vector = np.zeros(self._dimensions, np.float32)
        vector[0] = 1
        client.upsert(name, [_row(_RECORD, vector, True, after.last_id, after.version, gone, (), None)])
        if inserted >= _FLUSHED:
            client.flush(name)

    def _record(self, client: Any) -> tuple[Held, int]:
        """Return what the collection holds, and how many rows were deleted from it."""
        if self._collection(client) is None:
            return NOTHING, 0
        found = self._query(client, f"id == {_RECORD}", ["camera", "person", "taken"])
        if not found:
            return NOTHING, 0
        [row] = found
        return Held(int(row["camera"]), int(row["person"])), int(row["taken"])

    def _query(self, client: Any, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.query(
            self._alias, filter=condition, output_fields=fields, consistency_level="Strong", timeout=_ANSWER
        )
        return found

    def _collection(self, client: Any) -> str | None:
        """Return the collection that the alias means; ``None`` if there is none."""
        for name in self._collections(client):
            if self._alias in client.list_aliases(name).get("aliases", []):
                return name
        return None

    def _collections(self, client: Any) -> list[str]:
        return [name for name in client.list_collections() if name.startswith(f"{self._alias}_")]

    def _create(self, client: Any) -> str:
        from pymilvus import DataType

        name = f"{self._alias}_{secrets.token_hex(4)}"
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=self._dimensions)
        schema.add_field("junk", DataType.BOOL)
        for field in ("camera", "person", "taken", "collection"):
            schema.add_field(field, DataType.INT64)
        schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=_TAGS)
        index = client.prepare_index_params()
        index.add_index("embedding", **_GRAPH)
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Bounded")
        return name

    def _drop_all(self, client: Any, but: str = "") -> None:
        for name in self._collections(client):
            if name != but:
                for alias in client.list_aliases(name).get("aliases", []):
                    client.drop_alias(alias)
                client.drop_collection(name)

    def _ask(self, question: Callable[[Any], T]) -> T:
        client = self._client()
        with _errors(self._address):
            return question(client)

    def _client(self) -> Any:
        if self._open is None:
            self._open = _connected(self._address)
        return self._open


def expression_of(where: Where) -> str:
    """Return conditions in Milvus's language; attributes and IDs are left to the shards."""
    found = [] if where.junk else ["junk == false"]
    for name, values in (("camera", where.cameras), ("person", where.people)):
        if values:
            found.append(f"{name} in {_numbers(values)}")
    if where.not_cameras:
        found.append(f"camera not in {_numbers(where.not_cameras)}")
    if where.taken_from is not None:
        found.append(f"taken >= {_bounded(where.taken_from)}")
    if where.taken_before is not None:
        found += [f"taken < {_bounded(where.taken_before)}", f"taken > {UNKNOWN}"]
    if where.tags:
        found.append(f"array_contains_all(tags, {_numbers(map(hashed, where.tags))})")
    if where.collections:
        found.append(f"collection in {_numbers(map(hashed, where.collections))}")
    return " and ".join(found)


def hashed(word: str) -> int:
    """Return the number that stands for a tag or a collection; words with the same one are told apart in the shards."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") >> 2


def _numbers(values: Iterable[int]) -> str:
    return f"[{', '.join(str(int(value)) for value in values)}]"


def _bounded(moment: int) -> int:
    return max(UNKNOWN + 1, min(moment, -UNKNOWN))


def _parts(rows: Rows, dimensions: int) -> Iterator[list[dict[str, Any]]]:
    """Yield rows as Milvus takes them, some megabytes at a time."""
    most = max(1, _REQUEST // (4 * dimensions))
    vectors = rows.vectors.float().numpy()
    for first in range(0, len(rows), most):
        yield [
            _row(
                int(rows.ids[n]),
                vectors[n],
                rows.junk[n],
                rows.cameras[n],
                rows.people[n],
                rows.taken[n],
                rows.tags[n],
                rows.collections[n],
            )
            for n in range(first, min(first + most, len(rows)))
        ]


def _row(
    number: int,
    vector: Any,
    junk: bool,
    camera: int | None,
    person: int | None,
    taken: int | None,
    tags: Sequence[str],
    collection: str | None,
) -> dict[str, Any]:
    return {
        "id": number,
        "embedding": vector,
        "junk": junk,
        "camera": UNKNOWN if camera is None else camera,
        "person": UNKNOWN if person is None else person,
        "taken": UNKNOWN if taken is None else taken,
        "collection": UNKNOWN if collection is None else hashed(collection),
        "tags": [hashed(tag) for tag in tags],
    }


def _connected(address: Address) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise EngineError(
            "a gallery with a Milvus engine needs the package pymilvus. Fix: pip install 'passerby[milvus]'"
        ) from None
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it logs it raises, too
    secure = address.tls == "verify"
    host = f"[{address.host}]" if ":" in address.host else address.host
    options = {"server_pem_path": address.authorities} if secure and address.authorities else {}
    with _errors(address):
        return MilvusClient(
            uri=f"http{'s' if secure else ''}://{host}:{address.port}",
            token=os.environ.get("MILVUS_TOKEN", ""),
            db_name=address.database,
            timeout=_ANSWER / 3,
            **options,
        )


class _errors:  # noqa: N801 - used as a function
    """A context whose errors of Milvus are those of engines."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from pymilvus.exceptions import MilvusException

        if isinstance(error, MilvusException | OSError):
            raise EngineError(
                f"{self._address} does not answer as it should: {first_line(error)}. Fix: check that the server runs, "
                "its address, and MILVUS_TOKEN (USER:PASSWORD or a key)"
            ) from None
