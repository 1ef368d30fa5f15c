"""A shard: some thousand rows in one Arrow file that never changes, read where it lies on the disk.

Groups of columns have digests of their own, each checked before its first use, so that opening a large gallery reads
only the labels; of float32 embeddings every row that is read is checked by its CRC.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.errors import DatasetLayoutError
from passerby.gallery.store import disk
from passerby.gallery.store.manifest import ShardEntry
from passerby.gallery.store.quantized import Quantized
from passerby.gallery.store.table import crc_of

_COARSE = ("coarse", "scale", "squared")
_KEPT = 1 << 25
"""The bytes of single rows of a shard that stay mapped, at most."""
_FOLIO = 1 << 21
"""The bytes that the system may map for one row that is read."""


class DamagedShardError(DatasetLayoutError):
    """The error of a shard that is not what was written; the store sets it aside."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the shard {name} is damaged: {reason}")
        self.name, self.reason = name, reason


def write_shard(folder: Path, batch: pa.RecordBatch) -> ShardEntry:
    """Write a sealed batch as a new file of the folder and synchronize it (the folder is the caller's).

    The file has the name of :func:`~passerby.gallery.store.disk.partial_of`, by which leftovers are known.

    Raises:
        OSError: if it cannot be written; nothing is left then.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content = sink.getvalue()
    entry = ShardEntry(
        name=f"{secrets.token_hex(8)}.arrow",
        rows=len(batch),
        bytes=content.size,
        sha256=hashlib.sha256(content).hexdigest(),
        parts=_digests(_batch_in(content)),
    )
    disk.write_new(disk.partial_of(folder / entry.name), memoryview(content))
    return entry


class Shard:
    """An open shard, which stays readable when its file is removed.

    Raises:
        DamagedShardError: if the file is torn, or its labels are not what was written.
        FileNotFoundError: if there is none.
    """

    def __init__(self, folder: Path, entry: ShardEntry) -> None:
        self.entry = entry
        with (folder / entry.name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.bytes:
                raise DamagedShardError(entry.name, f"it has {size:,} bytes, expected {entry.bytes:,}")
            # private and writable, because torch warns of memory that is not; nothing writes to it
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._start = pa.py_buffer(self._map).address
        try:
            self.batch = _batch_in(pa.py_buffer(self._map))
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise DamagedShardError(entry.name, f"it is no Arrow file ({error})") from None
        if len(self.batch) != entry.rows:
            raise DamagedShardError(entry.name, f"it has {len(self.batch):,} rows, expected {entry.rows:,}")
        self._checked: set[str] = set()
        self._check("labels")
        self._read = np.zeros(entry.rows, np.bool_)
        self._bytes_read = 0

    def __len__(self) -> int:
        return self.entry.rows

    def column(self, name: str) -> pa.Array:
        """Return a column of labels."""
        return self.batch.column(name)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The IDs of the rows, ascending."""
        ids: NDArray[np.int64] = self.batch.column("id").to_numpy()
        return ids

    @cached_property
    def coarse(self) -> Quantized:
        """The rows in 8 bits.

        Raises:
            DamagedShardError: if they are not what was written.
        """
        self._check("coarse")
        values, scale, squared = (torch.from_numpy(self._view(name)) for name in _COARSE)
        facts = self.batch.schema.metadata
        center = torch.from_numpy(np.frombuffer(facts[b"center"], np.float32).copy())
        return Quantized(values, scale, squared, center, float(facts[b"error"]))

    def embeddings(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the embeddings of some rows, float32, each checked when it is read first.

        Raises:
            DamagedShardError: if a row is not what was written.
        """
        found = self._view("embedding")[rows]
        new = np.flatnonzero(~self._read[rows])
        if len(new):
            crc = self.batch.column("crc").to_numpy()
            wrong = int((crc_of(found[new]) != crc[rows[new]]).sum())
            if wrong:
                raise DamagedShardError(self.entry.name, f"{wrong:,} embeddings differ from what was written")
            self._read[rows[new]] = True
        self._forget_pages(len(rows))
        return torch.from_numpy(found)

    def part(self, name: str) -> Tensor:
        """Return the column ``attributes`` or ``local``.

        Raises:
            DamagedShardError: if it is not what was written.
        """
        self._check(name)
        return torch.from_numpy(self._view(name))

    def thumbnail(self, row: int) -> bytes | None:
        """Return the small JPEG of a row's image; ``None`` if none was made.

        Raises:
            DamagedShardError: if one is not what was written.
        """
        self._check("thumbnail")
        found: bytes | None = self.batch.column("thumbnail")[row].as_py()
        return found

    def check(self) -> None:
        """Check every byte.

        Raises:
            DamagedShardError: if one differs from what was written.
        """
        if hashlib.sha256(self._map).hexdigest() != self.entry.sha256:
            raise DamagedShardError(self.entry.name, "its digest differs")

    def check_parts(self) -> None:
        """Check the digests of all groups of columns.

        Raises:
            DamagedShardError: if one is not what was written.
        """
        for part in _parts(self.batch):
            self._check(part)

    def _check(self, part: str) -> None:
        if part in self._checked:
            return
        if _digest(self.batch, part) != self.entry.parts.get(part):
            raise DamagedShardError(self.entry.name, f"its {part} differ from what was written")
        self._checked.add(part)

    def _view(self, name: str) -> NDArray[Any]:
        """Return a column of numbers as ``(n, …)``, where it lies in the mapped file."""
        array, shape = self.batch.column(name), [len(self)]
        while pa.types.is_fixed_size_list(array.type):
            shape.append(array.type.list_size)
            array = array.values
        kind = array.type.to_pandas_dtype()
        offset = array.buffers()[1].address - self._start
        return np.frombuffer(self._map, kind, int(np.prod(shape)), offset).reshape(shape)

    def _forget_pages(self, rows: int) -> None:
        """Release pages of single rows when they are many: the system keeps them as long as it has room."""
        values = self._view("embedding")
        self._bytes_read += rows * _FOLIO
        if self._bytes_read > _KEPT and hasattr(self._map, "madvise"):
            first = self.batch.column("embedding").values.buffers()[1].address - self._start
            start, end = (first + mmap.PAGESIZE - 1) // mmap.PAGESIZE, (first + values.nbytes) // mmap.PAGESIZE
            if end > start:
                self._map.madvise(mmap.MADV_DONTNEED, start * mmap.PAGESIZE, (end - start) * mmap.PAGESIZE)
            self._bytes_read = 0


def _batch_in(content: pa.Buffer) -> pa.RecordBatch:
    reader = pa.ipc.open_file(pa.BufferReader(content))
    batch = reader.get_batch(0)
    batch.validate()
    return batch


def _parts(batch: pa.RecordBatch) -> dict[str, list[str]]:
    """Return which columns a digest is of; ``embedding`` has one for each row."""
    single = [name for name in ("attributes", "local", "thumbnail") if name in batch.schema.names]
    labels = [name for name in batch.schema.names if name not in (*_COARSE, *single, "embedding")]
    return {"labels": labels, "coarse": list(_COARSE), **{name: [name] for name in single}}


def _digests(batch: pa.RecordBatch) -> dict[str, str]:
    return {part: _digest(batch, part) for part in _parts(batch)}


def _digest(batch: pa.RecordBatch, part: str) -> str:
    found = hashlib.sha256(f"{batch.schema.to_string(show_schema_metadata=False)} {len(batch)}".encode())
    for name, value in sorted((batch.schema.metadata or {}).items()):
        found.update(name + b"=" + value)
    for name in _parts(batch).get(part, []):
        for buffer in _buffers(batch.column(name)):
            found.update(f"{name} {buffer.size}".encode())
            found.update(buffer)
    return found.hexdigest()


def _buffers(array: pa.Array) -> Iterator[pa.Buffer]:
    yield from (buffer for buffer in array.buffers() if buffer is not None)
    if pa.types.is_dictionary(array.type):
        yield from _buffers(array.dictionary)
