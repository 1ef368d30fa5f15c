"""Embeddings as a table: the columns of a file of embeddings, written and read with Arrow.

=============  ==========================================================================================
``path``       string: the image's name within the root of the file
``pid``        int64: the person ID; null if people are unknown
``camid``      int64: the camera ID; null if cameras are unknown
``role``       int64: 0 a person, 1 junk, 2 a distractor (:class:`~passerby.types.Role`); null: all are persons
``split``      string: ``query``, ``gallery`` or ``train``; null if unknown
``time``       int64: frame number or the like; null if unknown
``embedding``  fixed-size list of float32, not normalized
``local``      stripes × channels of float32, if stored
``attributes`` probabilities of all values of the attribute groups, one group after the other, if stored
=============  ==========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from passerby.errors import DatasetLayoutError
from passerby.types import Embeddings

SPLIT_NAMES = ("query", "gallery", "train")
_LABELS = {"pid": "pids", "camid": "camids", "role": "roles"}
"""The columns of whole numbers that every file has: name in the file, name in :class:`~passerby.types.Embeddings`."""
_NUMBERS = ("local", "attributes")
"""The columns of floating-point numbers that a file may lack."""
_RUN = 1024
"""The number of rows whose numbers are read at a time."""
DICTIONARIES = [*_LABELS, "split"]
"""The columns in which few values repeat."""


def to_table(embeddings: Embeddings, splits: Sequence[str | None]) -> pa.Table:
    """Return the table of some embeddings; ``splits`` are one per row."""
    columns = {"path": pa.array(embeddings.paths, pa.string())}
    columns |= {column: _integers(embeddings, field) for column, field in _LABELS.items()}
    columns |= {"split": pa.array(splits, pa.string()), "time": _integers(embeddings, "times")}
    columns["embedding"] = _lists(embeddings.embedding)
    columns |= {name: _lists(rows) for name in _NUMBERS if (rows := getattr(embeddings, name)) is not None}
    return pa.table(columns)


def read_rows(file: Path, parquet: pq.ParquetFile) -> tuple[Embeddings, tuple[str | None, ...]]:
    """Return the embeddings of a file that :func:`check_columns` has passed, and the split of each row.

    Raises:
        DatasetLayoutError: if values are missing, or splits have other names.
    """
    present = parquet.schema_arrow.names
    table = parquet.read(columns=[name for name in ("path", *_LABELS, "split", "time") if name in present])
    for name in table.column_names:
        nulls = table[name].null_count
        if nulls and name != "split" and (nulls < len(table) or name == "path"):
            raise _lacking(file, name, nulls, len(table))
    labels = {
        field: None if table[column].null_count == len(table) else torch.tensor(table[column].to_numpy())
        for column, field in {**_LABELS, "time": "times"}.items()
        if column in present
    }
    numbers = {name: _read_numbers(file, parquet, name) for name in ("embedding", *_NUMBERS) if name in present}
    paths = tuple(table["path"].to_pylist())
    return Embeddings(numbers.pop("embedding"), paths, **labels, **numbers), splits_of(file, table)


def _read_numbers(file: Path, parquet: pq.ParquetFile, name: str) -> Tensor:
    """Return a column of lists of numbers, read in runs of rows into their place.

    All of it in Arrow's memory, with the lists' own marks, would take several times as much.
    """
    shape = (parquet.metadata.num_rows, *_shape(parquet.schema_arrow.field(name).type))
    if stored_values(parquet.metadata, name) < math.prod(shape):
        raise _lacking(file, name, "some", shape[0])
    rows, first = np.empty(shape, np.float32), 0
    if not rows.size:
        return torch.from_numpy(rows)
    for batch in parquet.iter_batches(_RUN, columns=[name]):
        values, last = batch.column(0), first + len(batch)
        while pa.types.is_fixed_size_list(values.type):
            if values.null_count:
                raise _lacking(file, name, values.null_count, shape[0])
            values = values.flatten()
        rows[first:last] = values.to_numpy().reshape(-1, *shape[1:])
        first = last
    return torch.from_numpy(rows)


def stored_values(metadata: pq.FileMetaData, name: str) -> int:
    """Return the number of values of a column in a file: one per number, or one for a list that is missing or empty."""
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    return sum(column.num_values for column in columns if column.path_in_schema.split(".")[0] == name)


def rows_not_finite(rows: Tensor) -> Tensor:
    """Return a flag for each row: whether it has NaN or infinite values. Temporaries are those of a run of rows."""
    wrong = torch.empty(len(rows), dtype=torch.bool, device=rows.device)
    for first in range(0, len(rows), _RUN):
        wrong[first : first + _RUN] = ~rows[first : first + _RUN].isfinite().flatten(1).all(1)
    return wrong


def splits_of(file: Path, table: pa.Table) -> tuple[str | None, ...]:
    """Return the split of each row; ``None`` where it is unknown.

    Raises:
        DatasetLayoutError: if the column holds other names.
    """
    if "split" not in table.column_names:
        return (None,) * len(table)
    splits = table["split"].to_pylist()
    if unknown := sorted({str(split) for split in splits} - {"None", *SPLIT_NAMES}):
        raise DatasetLayoutError(
            f"{file}: column 'split' has the value {unknown[0]!r}, expected {', '.join(SPLIT_NAMES)}. "
            "Fix: write one of these, or leave the column out"
        )
    return tuple(splits)


def check_columns(file: Path, schema: pa.Schema, *, attributes: int) -> None:
    """Check that types are those that :func:`to_table` makes.

    Args:
        attributes: the number of attribute values that the file names.

    Raises:
        DatasetLayoutError: if they are not.
    """
    expected = {"path": pa.types.is_string, "embedding": _is_list_of_float32} | dict.fromkeys(
        _LABELS, pa.types.is_int64
    )
    known = {"split": pa.types.is_string, "time": pa.types.is_int64} | dict.fromkeys(_NUMBERS, _is_list_of_float32)
    expected |= {name: fits for name, fits in known.items() if name in schema.names}
    for name, fits in expected.items():
        if schema.names.count(name) != 1 or not fits(schema.field(name).type):
            raise DatasetLayoutError(
                f"{file}: column {name!r} is missing or of another type, or is there twice. Fix: embed again"
            )
    stored = schema.field("attributes").type.list_size if "attributes" in schema.names else 0
    if stored != attributes:
        raise DatasetLayoutError(
            f"{file}: {stored} attribute probabilities per image, but {attributes} names. Fix: embed again"
        )


def _lacking(file: Path, name: str, missing: int | str, rows: int) -> DatasetLayoutError:
    return DatasetLayoutError(f"{file}: column {name!r} lacks {missing} of {rows} values. Fix: embed again")


def _integers(embeddings: Embeddings, field: str) -> pa.Array:
    values: Tensor | None = getattr(embeddings, field)
    return pa.nulls(len(embeddings), pa.int64()) if values is None else pa.array(values.to("cpu", torch.int64).numpy())


def _lists(rows: Tensor) -> pa.Array:
    """Return ``(n, d)`` as n lists of d numbers, ``(n, s, c)`` as n lists of s lists of c."""
    array = pa.array(rows.detach().to("cpu", torch.float32).reshape(-1).numpy())
    for length in reversed(rows.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _shape(kind: pa.DataType) -> tuple[int, ...]:
    """Return the shape of each row of a column that :func:`_lists` made."""
    return (kind.list_size, *_shape(kind.value_type)) if pa.types.is_fixed_size_list(kind) else ()


def _is_list_of_float32(kind: pa.DataType) -> bool:
    lists = 0
    while pa.types.is_fixed_size_list(kind):
        kind, lists = kind.value_type, lists + 1
    return lists > 0 and pa.types.is_float32(kind)
