"""Anybody's embeddings of a query and a gallery in one file, to be evaluated here.

``.npz`` (numpy): arrays ``query_f (q, d)``, ``query_pid (q,)``, ``query_cam (q,)`` and the same of ``gallery_…``; if
known also ``…_path (n,)`` text, ``…_local (n, s, c)`` stripes and ``…_role (n,)``: 0 a person, 1 junk, 2 a distractor.
``.parquet``: a row an image with columns ``split`` (``query`` or ``gallery``), ``pid``, ``cam``, ``f`` (a list of
floats), if known ``path`` and ``role``. Without roles, person −1 is junk (it takes no rank) and everybody else counts
as a person: a distractor is one whom no query asks for. Floats of half precision are computed with in single.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from passerby.errors import DatasetLayoutError, ProtocolError, ShapeError
from passerby.files import atomic_write
from passerby.types import Embeddings, Role

SIDES = ("query", "gallery")
_NEEDED = ("f", "pid", "cam")
_JUNK = -1


def read_features(path: str | Path) -> tuple[Embeddings, Embeddings]:
    """Query and gallery.

    Raises:
        DatasetLayoutError: if the file is not there, is not of this format, or lacks an array.
        ProtocolError: if people have negative codes other than −1, or two rows of a side have one path.
        ShapeError: if arrays have other shapes than theirs.
    """
    file = Path(path)
    if not file.is_file():
        raise DatasetLayoutError(f"there is no file {file}; give an .npz or .parquet of embeddings")
    if file.suffix not in _READERS:
        raise DatasetLayoutError(
            f"{file}: embeddings are read from .npz or .parquet, got {file.suffix or 'no ending'!r}"
        )
    arrays = _READERS[file.suffix](file)
    query, gallery = (_side(file, arrays, side) for side in SIDES)
    return query, gallery


def write_features(path: str | Path, query: Embeddings, gallery: Embeddings) -> None:
    """All that :func:`read_features` reads, as ``.npz``.

    Raises:
        ProtocolError: if people or cameras are unknown.
    """
    arrays: dict[str, Any] = {}
    for name, side in zip(SIDES, (query, gallery), strict=True):
        if side.pids is None or side.camids is None:
            raise ProtocolError(f"the {name} does not say who everybody is, and by which camera")
        roles = torch.zeros_like(side.pids) if side.roles is None else side.roles
        columns = {"f": side.embedding, "pid": side.pids, "cam": side.camids, "role": roles, "local": side.local}
        arrays |= {f"{name}_{key}": value.cpu().numpy() for key, value in columns.items() if value is not None}
        arrays[f"{name}_path"] = np.array(side.paths, dtype=np.str_)
    with atomic_write(Path(path)) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def has_image_paths(side: Embeddings) -> bool:
    """Whether the file that a side was read from says what its pictures are called."""
    return side.paths != _rows(len(side))


def _rows(count: int) -> tuple[str, ...]:
    """Names where the file has none."""
    return tuple(f"row {row}" for row in range(count))


def _read_npz(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except TypeError:
        raise DatasetLayoutError(f"{file} holds one array, not an .npz of several: use numpy.savez") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetLayoutError(f"{file} cannot be read as an .npz of plain arrays: {error}") from None


def _read_parquet(file: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetLayoutError(f"{file} cannot be read as Parquet: {error}") from None
    if "split" not in table.column_names:
        raise DatasetLayoutError(
            f"{file} has no column 'split', which says query or gallery; it has {table.column_names}"
        )
    splits = np.array(table["split"].to_pylist())
    if unknown := sorted(set(map(str, splits)) - set(SIDES)):
        raise DatasetLayoutError(f"{file}: column 'split' may say query or gallery, got {unknown[0]!r}")
    arrays: dict[str, Any] = {}
    for name in ("f", "pid", "cam", "path", "role"):
        if name in table.column_names:
            values = _array(file, name, table[name])
            arrays |= {f"{side}_{name}": values[splits == side] for side in SIDES}
    return arrays


def _array(file: Path, name: str, column: Any) -> Any:
    """Lists of one length as rows, anything else as it is."""
    import pyarrow as pa

    values = column.combine_chunks()
    listed = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
    if not (listed or pa.types.is_fixed_size_list(values.type)):
        return _known(file, name, values).to_numpy(zero_copy_only=False)
    lengths = set(_known(file, name, values).value_lengths().to_pylist()) if listed else {values.type.list_size}
    if len(lengths) > 1:
        raise ShapeError(f"{file}: the lists of column {name!r} differ in length")
    flat = _known(file, name, _known(file, name, values).flatten())
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), max(lengths, default=0))


def _known(file: Path, name: str, values: Any) -> Any:
    """The same, where no value is missing."""
    if values.null_count:
        first = values.is_null().to_pylist().index(True)
        raise DatasetLayoutError(
            f"{file}: {values.null_count} of {len(values)} values of column {name!r} are missing, the first in place "
            f"{first}; fill them in, or leave the rows (or the column) out"
        )
    return values


_READERS = {".npz": _read_npz, ".parquet": _read_parquet}


def _side(file: Path, arrays: Mapping[str, Any], side: str) -> Embeddings:
    if missing := [f"{side}_{name}" for name in _NEEDED if f"{side}_{name}" not in arrays]:
        raise DatasetLayoutError(f"{file} lacks {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}")
    features = _numbers(file, f"{side}_f", arrays[f"{side}_f"], dimensions=2, kinds="f")
    rows = len(features)
    found = {name: _whole_numbers(file, f"{side}_{name}", arrays, rows) for name in ("pid", "cam", "role")}
    pids, roles = found["pid"], found["role"]
    assert pids is not None
    if roles is None:
        _refuse_negative(file, side, pids)
        roles = torch.where(pids == _JUNK, int(Role.JUNK), int(Role.PERSON))
    local = arrays.get(f"{side}_local")
    return Embeddings(
        features,
        _paths(file, f"{side}_path", arrays, rows),
        pids,
        found["cam"],
        roles,
        local=None if local is None else _numbers(file, f"{side}_local", local, dimensions=3, kinds="f"),
    )


def _numbers(file: Path, name: str, values: Any, *, dimensions: int, kinds: str) -> Tensor:
    if values.ndim != dimensions or values.dtype.kind not in kinds:
        wanted = "floats" if kinds == "f" else "whole numbers"
        shape = f"{values.shape} of {values.dtype}"
        raise ShapeError(f"{file}: {name} must have {dimensions} dimensions of {wanted}, got {shape}")
    if values.dtype == np.float16 or values.dtype.itemsize > 8:
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return torch.from_numpy(np.ascontiguousarray(values, values.dtype.newbyteorder("=")))


def _whole_numbers(file: Path, name: str, arrays: Mapping[str, Any], rows: int) -> Tensor | None:
    if name not in arrays:
        return None
    values = _numbers(file, name, arrays[name], dimensions=1, kinds="iu").long()
    if len(values) != rows:
        raise ShapeError(f"{file}: {name} has {len(values)} values for {rows} embeddings; one an image is needed")
    return values


def _refuse_negative(file: Path, side: str, pids: Tensor) -> None:
    if (pids < _JUNK).any():
        raise ProtocolError(
            f"{file}: {side}_pid has negative codes other than -1, which is junk, for example {int(pids.min())}; "
            f"name people by numbers from 0, or say in {side}_role what each row is"
        )


def _paths(file: Path, name: str, arrays: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    if name not in arrays:
        return _rows(rows)
    paths = tuple(map(str, arrays[name].tolist()))
    if len(paths) != rows:
        raise ShapeError(f"{file}: {name} has {len(paths)} values for {rows} embeddings; one an image is needed")
    if len(set(paths)) < rows:
        ((twice, _),) = Counter(paths).most_common(1)
        raise ProtocolError(f"{file}: {name} names a picture twice, {twice}; embed each once")
    return paths
