"""The rows of a gallery on disk as Arrow tables.

===========  =======================================================================================================
plain        what is known of each image, and what a rewritten shard is made of again
===========  =======================================================================================================
id           int64: the row's ID, ascending; never used twice
embedding    d of float32, not normalized
local        stripes × channels of float32, if stored
attributes   float32: the probabilities of all values of the attribute groups, if the model predicts them
pid, camid   int64: person and camera ID; null where unknown
role         int8 (:class:`~passerby.types.Role`)
time         int64: the frame number or the like of a dataset; null where unknown
taken        int64: when the image was taken, in milliseconds of Unix time; null where unknown
added        int64: when it was added
tracklet     int64: the ID of the first row of the same tracklet, the images of one person in one piece of video
seen_from    int64: when its tracklet begins, in milliseconds of Unix time, and ``seen_until``, when it ends; null where
             the image is of no tracklet
split, tags, collection, place   text in dictionaries; tags of a row are sorted and separated by newlines
path         the image's name within its place; its own path where the place is empty
content      the SHA-256 of the image's file
ingest       int64: the version of the gallery in which the row was added
thumbnail    a small JPEG of the image; null where none was made
===========  =======================================================================================================

===========  =======================================================================================================
derived      made anew whenever a shard is written (:func:`seal`)
===========  =======================================================================================================
coarse       d of int8, scale, squared (float32): the row for the first pass of a search
crc          uint32: the CRC of the row's ``embedding``, which is checked when it is read
===========  =======================================================================================================

Arrow IPC and not Parquet: vectors are searched where they lie in the mapped file, while Parquet's pages are encoded and
have to be unpacked into memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.gallery.store.quantized import quantize
from passerby.types import Embeddings

VECTORS = ("embedding", "local", "attributes")
TEXTS = ("split", "tags", "collection", "place")
"""The columns of text in dictionaries."""
DERIVED = ("coarse", "scale", "squared", "crc")
TAGS = "\n"
"""The separator of the tags of a row."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts about images beside their embeddings; sequences have one value per image."""

    content: Sequence[bytes]
    """The SHA-256 of each file."""
    cameras: Sequence[int | None] | None = None
    """The camera IDs, where they are known of some images only; else the embeddings have them."""
    people: Sequence[int | None] | None = None
    """The person IDs, likewise."""
    place: str = ""
    """The folder, archive or dataset that holds the images; empty where each name tells it."""
    splits: Sequence[str | None] | None = None
    taken: Sequence[int | None] | None = None
    """The moments when they were taken, in milliseconds of Unix time."""
    tracklets: Sequence[int | None] | None = None
    """The tracklet of each image, by any number that is the tracklet's own among these images."""
    seen: Sequence[tuple[int, int] | None] | None = None
    """The first and the last moment of each image's tracklet, in milliseconds of Unix time."""
    thumbnails: Sequence[bytes | None] | None = None
    """The small JPEGs of the images."""
    added: int = 0
    """The moment when they were added, in milliseconds of Unix time."""
    tags: Sequence[str] = ()
    collection: str | None = None


def plain_table(embeddings: Embeddings, facts: Facts, *, first_id: int, ingest: int) -> pa.Table:
    """Return the plain columns of images that are to be added."""
    n = len(embeddings)
    columns: dict[str, Any] = {"id": pa.array(np.arange(first_id, first_id + n))}
    columns |= {name: lists(rows) for name in VECTORS if (rows := getattr(embeddings, name)) is not None}
    for name, values in (("pid", facts.people), ("camid", facts.cameras), ("time", None)):
        known = getattr(embeddings, f"{name}s")
        columns[name] = _integers(known, n) if values is None else pa.array(values, pa.int64())
    roles = torch.zeros(n) if embeddings.roles is None else embeddings.roles.cpu()
    columns["role"] = pa.array(roles.to(torch.int8).numpy())
    columns["taken"] = pa.array(facts.taken or [None] * n, pa.int64())
    columns["added"] = pa.array(np.full(n, facts.added))
    columns["tracklet"] = pa.array(_first_rows(facts.tracklets or [None] * n, first_id), pa.int64())
    for place, name in enumerate(("seen_from", "seen_until")):
        columns[name] = pa.array([seen and seen[place] for seen in facts.seen or [None] * n], pa.int64())
    columns["split"] = pa.array(facts.splits or [None] * n, pa.string())
    columns["tags"] = pa.array([TAGS.join(sorted(set(facts.tags)))] * n, pa.string())
    columns["collection"] = pa.array([facts.collection] * n, pa.string())
    columns["place"] = pa.array([facts.place] * n, pa.string())
    columns["path"] = pa.array(embeddings.paths, pa.string())
    columns["content"] = pa.array(facts.content, pa.binary(32))
    columns["ingest"] = pa.array(np.full(n, ingest))
    columns["thumbnail"] = pa.array(facts.thumbnails or [None] * n, pa.binary())
    return pa.table(columns)


def plain_of(batch: pa.RecordBatch) -> pa.Table:
    """Return the plain columns of a shard, texts without their dictionaries, which may name what rows no longer do."""
    columns = {}
    for name in (name for name in batch.schema.names if name not in DERIVED):
        column = batch.column(name)
        columns[name] = column.cast(pa.string()) if name in TEXTS else column
    return pa.table(columns)


def seal(table: pa.Table, *, normalize: bool) -> pa.RecordBatch:
    """Return plain columns with the derived ones, as one batch that is ready to be written.

    Args:
        normalize: whether embeddings are L2-normalized before they are compared.
    """
    table = table.combine_chunks()
    vectors = matrix(table.column("embedding").chunk(0))
    found = quantize(torch.from_numpy(vectors), normalize=normalize)
    columns = {name: table.column(name).chunk(0) for name in table.column_names}
    columns |= {name: columns[name].dictionary_encode() for name in TEXTS}
    columns |= {"coarse": lists(found.values), "scale": lists(found.scale), "squared": lists(found.squared)}
    columns["crc"] = pa.array(crc_of(vectors))
    batch = pa.RecordBatch.from_pydict(columns)
    return batch.replace_schema_metadata({"center": found.center.numpy().tobytes(), "error": f"{found.error!r}"})


def crc_of(rows: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row."""
    return np.array([zlib.crc32(memoryview(row)) for row in np.ascontiguousarray(rows)], np.uint32)


def lists(rows: Tensor) -> pa.Array:
    """Return ``(n, d)`` as n lists of d numbers, ``(n, s, c)`` as n lists of s lists of c, ``(n,)`` as numbers."""
    values = rows.detach().cpu()
    array = pa.array((values if values.dtype == torch.int8 else values.float()).reshape(-1).numpy())
    for length in reversed(rows.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def matrix(array: pa.Array) -> NDArray[Any]:
    """Return a column of lists as ``(n, …)``, in its own copy."""
    shape = [len(array)]
    while pa.types.is_fixed_size_list(array.type):
        shape.append(array.type.list_size)
        array = array.flatten()
    return np.array(array.to_numpy()).reshape(shape)


def _first_rows(tracklets: Sequence[int | None], first_id: int) -> list[int | None]:
    """Return, for each row, the ID of the first row of its tracklet."""
    first = dict[int, int]()
    return [None if each is None else first.setdefault(each, first_id + n) for n, each in enumerate(tracklets)]


def _integers(values: Tensor | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.int64()) if values is None else pa.array(values.to("cpu", torch.int64).numpy())
