"""Precomputed embeddings: files of other programs, and the two layouts that ``--features`` of version 0.1 read.

``.npz`` (numpy): arrays ``query_f (q, d)``, ``query_pid (q,)``, ``query_cam (q,)`` and the same of ``gallery_…``; if
known also ``…_path (n,)`` text, ``…_local (n, s, c)`` stripes and ``…_role (n,)``: 0 a person, 1 junk, 2 a distractor.
``.parquet``: one row per image with the columns of :mod:`passerby.inference.embeddings_table` that are known; version
0.1 called ``embedding`` ``f`` and ``camid`` ``cam``. Without roles, person −1 is junk (it takes no rank) and everyone
else counts as a person: a distractor is one whom no query asks for. Floats of half precision are computed with in
single precision.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from passerby.errors import DatasetLayoutError, ProtocolError, ShapeError
from passerby.types import Embeddings, Role

SIDES = ("query", "gallery")
_COLUMNS = {"f": "embedding", "cam": "camid"}
"""The columns of version 0.1 and their names today."""
_WHOLE_NUMBERS = {"pid": "pids", "camid": "camids", "role": "roles", "time": "times"}
_NEEDED = ("f", "pid", "cam")
_JUNK = -1
_LARGEST = 2**63 - 1
_LONGEST = 8192
"""The most characters of an image's name: twice what a path may have, as a name may tell its place."""
HARMLESS, PACKED = 2**30, 100
"""The bytes that any file may unpack to, and how many times its own size: embeddings pack to half, zeros to nothing."""
_MAGIC = b"\x93NUMPY"
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError, zlib.error,
               zipfile.BadZipFile, NotImplementedError)  # fmt: skip


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
            "those of a file of embeddings. "
            "Fix: give a file of `passerby embed`, or name the column so"
        )
    if twice := [name for name, n in Counter(table.column_names).items() if n > 1]:
        raise DatasetLayoutError(f"'{file}' has the column {twice[0]!r} twice. Fix: leave one of them out")
    known = {name: table[found[name]] for name in ("embedding", "path", *_WHOLE_NUMBERS, "local") if name in found}
    known = {name: column for name, column in known.items() if column.null_count < len(table) or name == "embedding"}
    try:
        arrays = {name: _column(file, found[name], column) for name, column in known.items()}
    except _UNREADABLE as error:
        raise DatasetLayoutError(
            f"'{file}' has a column that cannot be read: {describe(error)}. Fix: write the file again"
        ) from None
    return _embeddings(file, arrays, found, splits)


def _arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of an ``.npz``, none of them larger than what the file holds of it."""
    try:
        if not zipfile.is_zipfile(file):
            with file.open("rb") as opened:
                if opened.read(len(_MAGIC)) == _MAGIC:
                    raise DatasetLayoutError(f"'{file}' holds one array, not an .npz of several. Fix: use numpy.savez")
            raise ValueError("it is none")
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if twice := [name for name, n in Counter(m.filename for m in members).items() if n > 1]:
                raise ValueError(f"it holds {twice[0]} twice")
            check_size(file, sum(member.file_size for member in members))
            return {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
    except _UNREADABLE as error:
        raise DatasetLayoutError(
            f"'{file}' cannot be read as an .npz of plain arrays: {describe(error)}. "
            "Fix: write it again with numpy.savez"
        ) from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    with archive.open(member) as opened:
        version = npy.read_magic(opened)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(opened)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects, which are not read")
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or needed > member.file_size:
        raise ValueError(
            f"{member.filename} is said to have shape {shape} of {dtype}, but has {member.file_size} bytes"
        )
    with archive.open(member) as opened:
        return npy.read_array(opened, allow_pickle=False)


def check_size(file: Path, unpacked: int) -> None:
    """Check before unpacking that a file holds no more than embeddings pack.

    Raises:
        DatasetLayoutError: if it unpacks to more than :data:`PACKED` times its size, and more than :data:`HARMLESS`.
    """
    most = max(HARMLESS, PACKED * file.stat().st_size)
    if unpacked > most:
        raise DatasetLayoutError(
            f"'{file}' unpacks to {unpacked / 2**30:,.1f} GiB, expected at most {most / 2**30:,.1f} GiB for "
            "its size, so it is not read. Fix: write the embeddings again"
        )


def describe(error: Exception) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _side(file: Path, arrays: Mapping[str, Any], side: str) -> Embeddings:
    if missing := [f"{side}_{name}" for name in _NEEDED if f"{side}_{name}" not in arrays]:
        raise DatasetLayoutError(
            f"{file} lacks {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}. "
            "Fix: add them (docs/evaluation.md)"
        )
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
    if not embedding.shape[1]:
        raise ShapeError(
            f"'{file}': {names['embedding']} has shape {tuple(embedding.shape)}, expected dimensions. Fix: embed again"
        )
    splits = [splits] * rows if isinstance(splits, str) else splits
    labels = {
        field: _labels(file, names[name], values[name], rows)
        for name, field in _WHOLE_NUMBERS.items()
        if name in values
    }
    if "roles" in labels:
        check_roles(file, names["role"], labels["roles"])
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
        raise ShapeError(f"{file}: the lists of column {name!r} differ in length. Fix: write lists of one length")
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


def check_roles(file: Path, name: str, roles: Tensor) -> None:
    """Check that every role is one of :class:`~passerby.types.Role`.

    Raises:
        DatasetLayoutError: if one is not.
    """
    if unknown := sorted(set(roles.tolist()) - {int(role) for role in Role}):
        raise DatasetLayoutError(
            f"'{file}': {name} has the value {unknown[0]}, expected 0 (person), 1 (junk) or 2 (distractor). "
            "Fix: write one of these"
        )


def _numbers(file: Path, name: str, values: Any, *, dimensions: int, kinds: str) -> Tensor:
    if values.ndim != dimensions or values.dtype.kind not in kinds:
        wanted = "floats" if kinds == "f" else "whole numbers"
        shape = f"{values.shape} of {values.dtype}"
        raise ShapeError(f"{file}: {name} must have {dimensions} dimensions of {wanted}, got {shape}. Fix: write it so")
    if values.dtype == np.float16 or values.dtype.itemsize > 8:
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return torch.from_numpy(np.require(values, values.dtype.newbyteorder("="), ["C_CONTIGUOUS", "WRITEABLE"]))


def _labels(file: Path, name: str, values: Any, rows: int) -> Tensor:
    if values.dtype.kind == "u" and values.size and int(values.max()) > _LARGEST:
        raise ProtocolError(
            f"'{file}': {name} has the value {values.max()}, expected at most {_LARGEST}. Fix: number them anew"
        )
    found = _numbers(file, name, values, dimensions=1, kinds="iu").long()
    if len(found) != rows:
        raise ShapeError(
            f"{file}: {name} has {len(found)} values for {rows} embeddings, expected one per image. "
            "Fix: write one per image"
        )
    return found


def check_paths(file: Path, name: str, paths: Sequence[str]) -> None:
    """Check that names can be printed and written: some programs store what is no text.

    Raises:
        DatasetLayoutError: if one cannot be, or none could name a file.
    """
    try:
        "".join(paths).encode()
    except UnicodeEncodeError:
        bad = next(path for path in paths if any("\ud800" <= character <= "\udfff" for character in path))
        raise DatasetLayoutError(
            f"'{file}': {name} has a name that is no text, {bad[:60]!a}. Fix: rename the image, and embed again"
        ) from None
    if (longest := max(map(len, paths), default=0)) > _LONGEST:
        raise DatasetLayoutError(
            f"'{file}': {name} has a name of {longest:,} characters, expected at most {_LONGEST:,}. Fix: shorten it"
        )


def _check_person_ids(file: Path, name: str, pids: Tensor) -> None:
    if (pids < _JUNK).any():
        raise ProtocolError(
            f"{file}: {name} has negative codes other than -1, which is junk, for example {int(pids.min())}. "
            "Fix: number people from 0, or add the role of each row"
        )


def _paths(file: Path, name: str, values: Any, splits: Sequence[str | None]) -> tuple[str, ...]:
    if values.ndim != 1:
        raise ShapeError(
            f"'{file}': {name} has shape {values.shape}, expected one name per image. Fix: write one per image"
        )
    paths = tuple(map(str, values.tolist()))
    check_paths(file, name, paths)
    if len(paths) != len(splits):
        raise ShapeError(
            f"{file}: {name} has {len(paths)} values for {len(splits)} embeddings, expected one per image. "
            "Fix: write one per image"
        )
    for (path, _), times in Counter(zip(paths, splits, strict=True)).items():
        if times > 1:
            raise ProtocolError(f"{file}: {name} names an image twice, {path}. Fix: embed each once")
    return paths
