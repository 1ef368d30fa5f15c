"""Precomputed embeddings: files of other programs, and the two layouts that ``--features`` of version 0.1 read.

``.npz`` (numpy): arrays ``query_f (q, d)``, ``query_pid (q,)``, ``query_cam (q,)`` and the same of ``gallery_…``; if
known also ``…_path (n,)`` text, ``…_local (n, s, c)`` stripes and ``…_role (n,)``: 0 a person, 1 junk, 2 a distractor.
``.parquet``: one row per image with the columns of :mod:`passerby.inference.embeddings_table` that are known; version
0.1 called ``embedding`` ``f`` and ``camid`` ``cam``. Without roles, person −1 is junk (it takes no rank) and everyone
else counts as a person: a distractor is one whom no query asks for. Floats of half precision are computed with in
single precision.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from passerby.errors import DatasetLayoutError, ProtocolError, ShapeError
from passerby.types import Embeddings, Role

SIDES = ("query", "gallery")
_COLUMNS = {"f": "embedding", "cam": "camid"}
"""The columns of version 0.1 and their names today."""
_WHOLE_NUMBERS = {"pid": "pids", "camid": "camids", "role": "roles", "time": "times"}
_NEEDED = ("f", "pid", "cam")
_JUNK = -1


def has_image_paths(embeddings: Embeddings) -> bool:
    """Return whether the file that embeddings were read from names its images."""
    return embeddings.paths != _row_names([None] * len(embeddings))


def _row_names(splits: Sequence[str | None]) -> tuple[str, ...]:
    """Return the names of rows that have none: their places within their split."""
    places: Counter[str | None] = Counter()
    names = []
    for split in splits:
        names.append(f"row {places[split]}")
        places[split] += 1
    return tuple(names)


def is_npz(file: Path) -> bool:
    """Return whether a file is, or claims to be, one of numpy."""
    return file.suffix == ".npz"


def read_npz(file: Path) -> tuple[Embeddings, tuple[str | None, ...]]:
    """Return query and gallery of an ``.npz``, one after the other, and the split of each row.

    Raises:
        DatasetLayoutError: if the file is not of this format, or lacks an array.
        ProtocolError: if person IDs are below −1, or two rows of a side have one path.
        ShapeError: if arrays have the wrong shape.
    """
    arrays = _arrays(file)
    sides = [_side(file, arrays, side) for side in SIDES]
    splits = tuple(name for name, side in zip(SIDES, sides, strict=True) for _ in range(len(side)))
    return Embeddings.concatenate(sides), splits


def precomputed_table(file: Path, table: Any, splits: Sequence[str | None]) -> Embeddings:
    """Return the embeddings of a Parquet table without a description, which any program may write.

    Raises:
        DatasetLayoutError: if it has no embeddings, or values are missing.
        ProtocolError: if person IDs are below −1, or two rows of a split have one path.
        ShapeError: if a column has the wrong shape.
    """
    found = {_COLUMNS.get(name, name): name for name in table.column_names}
    if "embedding" not in found:
        raise DatasetLayoutError(
            f"{file} has no column 'embedding': got {', '.join(table.column_names) or 'no column'}, which are not "
            "those of a file of embeddings"
        )
    known = {name: table[found[name]] for name in ("embedding", "path", *_WHOLE_NUMBERS, "local") if name in found}
    known = {name: column for name, column in known.items() if column.null_count < len(table) or name == "embedding"}
    arrays = {name: _column(file, found[name], column) for name, column in known.items()}
    return _embeddings(file, arrays, found, splits)


def _arrays(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except TypeError:
        raise DatasetLayoutError(f"{file} holds one array, not an .npz of several. Fix: use numpy.savez") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetLayoutError(f"{file} cannot be read as an .npz of plain arrays: {error}") from None


def _side(file: Path, arrays: Mapping[str, Any], side: str) -> Embeddings:
    if missing := [f"{side}_{name}" for name in _NEEDED if f"{side}_{name}" not in arrays]:
        raise DatasetLayoutError(f"{file} lacks {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}")
    names = {_COLUMNS.get(name, name): f"{side}_{name}" for name in ("f", "pid", "cam", "role", "path", "local")}
    names = {name: key for name, key in names.items() if key in arrays}
    values = {name: arrays[key] for name, key in names.items()}
    return _embeddings(file, values, names, side)


def _embeddings(
    file: Path, values: Mapping[str, Any], names: Mapping[str, str], splits: str | Sequence[str | None]
) -> Embeddings:
    """Return embeddings of arrays by today's names; ``names`` are those of the file, for messages."""
    embedding = _numbers(file, names["embedding"], values["embedding"], dimensions=2, kinds="f")
    rows = len(embedding)
    splits = [splits] * rows if isinstance(splits, str) else splits
    labels = {
        field: _labels(file, names[name], values[name], rows)
        for name, field in _WHOLE_NUMBERS.items()
        if name in values
    }
    if "pids" in labels and "roles" not in labels:
        _check_person_ids(file, names["pid"], labels["pids"])
        labels["roles"] = torch.where(labels["pids"] == _JUNK, int(Role.JUNK), int(Role.PERSON))
    local = values.get("local")
    paths = _paths(file, names["path"], values["path"], splits) if "path" in values else _row_names(splits)
    return Embeddings(
        embedding,
        paths,
        **labels,
        local=None if local is None else _numbers(file, names["local"], local, dimensions=3, kinds="f"),
    )


def _column(file: Path, name: str, column: Any) -> Any:
    """Return a column as an array; lists of one length as rows, lists of lists as rows of rows.

    Raises:
        ShapeError: if lists differ in length.
    """
    import pyarrow as pa

    values = column.combine_chunks()
    listed = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
    if not (listed or pa.types.is_fixed_size_list(values.type)):
        return _complete(file, name, values).to_numpy(zero_copy_only=False)
    lengths = set(_complete(file, name, values).value_lengths().to_pylist()) if listed else {values.type.list_size}
    if len(lengths) > 1:
        raise ShapeError(f"{file}: the lists of column {name!r} differ in length")
    inner = _column(file, name, pa.chunked_array([_complete(file, name, values).flatten()]))
    return inner.reshape(len(values), max(lengths, default=0), *inner.shape[1:])


def _complete(file: Path, name: str, values: Any) -> Any:
    """Return the values, of which none may be missing."""
    if values.null_count:
        first = values.is_null().to_pylist().index(True)
        raise DatasetLayoutError(
            f"{file}: {values.null_count} of {len(values)} values of column {name!r} are missing, the first in place "
            f"{first}. Fix: fill them in, or leave the rows (or the column) out"
        )
    return values


def _numbers(file: Path, name: str, values: Any, *, dimensions: int, kinds: str) -> Tensor:
    if values.ndim != dimensions or values.dtype.kind not in kinds:
        wanted = "floats" if kinds == "f" else "whole numbers"
        shape = f"{values.shape} of {values.dtype}"
        raise ShapeError(f"{file}: {name} must have {dimensions} dimensions of {wanted}, got {shape}")
    if values.dtype == np.float16 or values.dtype.itemsize > 8:
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return torch.from_numpy(np.require(values, values.dtype.newbyteorder("="), ["C_CONTIGUOUS", "WRITEABLE"]))


def _labels(file: Path, name: str, values: Any, rows: int) -> Tensor:
    found = _numbers(file, name, values, dimensions=1, kinds="iu").long()
    if len(found) != rows:
        raise ShapeError(f"{file}: {name} has {len(found)} values for {rows} embeddings, expected one per image")
    return found


def _check_person_ids(file: Path, name: str, pids: Tensor) -> None:
    if (pids < _JUNK).any():
        raise ProtocolError(
            f"{file}: {name} has negative codes other than -1, which is junk, for example {int(pids.min())}. "
            "Fix: number people from 0, or add the role of each row"
        )


def _paths(file: Path, name: str, values: Any, splits: Sequence[str | None]) -> tuple[str, ...]:
    paths = tuple(map(str, values.tolist()))
    if len(paths) != len(splits):
        raise ShapeError(f"{file}: {name} has {len(paths)} values for {len(splits)} embeddings, expected one per image")
    for (path, _), times in Counter(zip(paths, splits, strict=True)).items():
        if times > 1:
            raise ProtocolError(f"{file}: {name} names an image twice, {path}. Fix: embed each once")
    return paths
