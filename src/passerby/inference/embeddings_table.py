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

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from passerby.errors import DatasetLayoutError
from passerby.types import Embeddings

SPLIT_NAMES = ("query", "gallery", "train")
_LABELS = {"pid": "pids", "camid": "camids", "role": "roles"}
"""The columns of whole numbers that every file has: name in the file, name in :class:`~passerby.types.Embeddings`."""
_NUMBERS = ("local", "attributes")
"""The columns of floating-point numbers that a file may lack."""
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


def from_table(table: pa.Table) -> Embeddings:
    """Return the embeddings of a table that :func:`check_columns` has passed."""
    fields = {**_LABELS, **({"time": "times"} if "time" in table.column_names else {})}
    labels = {
        field: None if table[column].null_count == len(table) else torch.tensor(table[column].to_numpy())
        for column, field in fields.items()
    }
    return Embeddings(
        embedding=_rows(table["embedding"]),
        paths=tuple(table["path"].to_pylist()),
        **labels,
        **{column: _rows(table[column]) for column in _NUMBERS if column in table.column_names},
    )


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
            f"{file}: column 'split' has the value {unknown[0]!r}, expected {', '.join(SPLIT_NAMES)}"
        )
    return tuple(splits)


def check_columns(file: Path, table: pa.Table, *, attributes: int) -> None:
    """Check that types and missing values are those that :func:`to_table` makes.

    Args:
        attributes: the number of attribute values that the file names.

    Raises:
        DatasetLayoutError: if they are not.
    """
    expected = {"path": pa.types.is_string, "embedding": _is_list_of_float32} | dict.fromkeys(
        _LABELS, pa.types.is_int64
    )
    known = {"split": pa.types.is_string, "time": pa.types.is_int64} | dict.fromkeys(_NUMBERS, _is_list_of_float32)
    expected |= {name: fits for name, fits in known.items() if name in table.column_names}
    for name, fits in expected.items():
        if name not in table.column_names or not fits(table.schema.field(name).type):
            raise DatasetLayoutError(f"{file}: column {name!r} is missing or of another type. Fix: embed again")
        nulls = table[name].null_count
        if nulls and name != "split" and (nulls < len(table) or name not in (*_LABELS, "time")):
            raise DatasetLayoutError(f"{file}: column {name!r} lacks {nulls} of {len(table)} values. Fix: embed again")
    stored = table.schema.field("attributes").type.list_size if "attributes" in table.column_names else 0
    if stored != attributes:
        raise DatasetLayoutError(
            f"{file}: {stored} attribute probabilities per image, but {attributes} names. Fix: embed again"
        )


def _integers(embeddings: Embeddings, field: str) -> pa.Array:
    values: Tensor | None = getattr(embeddings, field)
    return pa.nulls(len(embeddings), pa.int64()) if values is None else pa.array(values.to("cpu", torch.int64).numpy())


def _lists(rows: Tensor) -> pa.Array:
    """Return ``(n, d)`` as n lists of d numbers, ``(n, s, c)`` as n lists of s lists of c."""
    array = pa.array(rows.detach().to("cpu", torch.float32).reshape(-1).numpy())
    for length in reversed(rows.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _rows(column: Any) -> Tensor:
    """Return the inverse of :func:`_lists`."""
    shape, values = [len(column)], column.combine_chunks()
    while pa.types.is_fixed_size_list(values.type):
        shape, values = [*shape, values.type.list_size], values.flatten()
    return torch.tensor(values.to_numpy()).reshape(shape)  # a copy: Arrow's memory is read-only


def _is_list_of_float32(kind: pa.DataType) -> bool:
    lists = 0
    while pa.types.is_fixed_size_list(kind):
        kind, lists = kind.value_type, lists + 1
    return lists > 0 and pa.types.is_float32(kind)
