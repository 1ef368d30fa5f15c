"""A table beside the images: ``dataset.csv`` with columns path, pid, camid, split and, optionally, role and time.

Paths are relative to the table. ``split`` is train, query or gallery; ``role`` is person (the default), junk or
distractor; an empty ``camid``, or one below 0, is an unknown camera. Other columns are ignored. The table is the
``dataset.csv`` of the source or, if there is none, its only ``.csv``.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from passerby.data.dataset import SPLITS, Dataset
from passerby.data.datasets.layout import FileNames, preview
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, open_source
from passerby.errors import DatasetLayoutError, without_fix
from passerby.types import Role, Sample

TABLE = "dataset.csv"
COLUMNS = ("path", "pid", "camid", "split")
ROLES = {role.name.lower(): role for role in Role}

Row = dict[str, str]


def read_table(source: Source, name: str, columns: Collection[str]) -> list[tuple[int, Row]]:
    """Return the rows of a CSV file with a header, each with its line number; cells are stripped.

    Raises:
        DatasetLayoutError: if it is not UTF-8, lacks one of the columns, or a row has too many or too few cells.
    """
    try:
        text = source.read(name).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [column.strip() for column in rows.fieldnames or ()]
        rows.fieldnames = header
        if absent := [column for column in columns if column not in header]:
            raise DatasetLayoutError(
                f"{source.root}: {name} has no column {', '.join(absent)}; its first line has {', '.join(header)!r}; "
                f"expected {','.join(columns)}, separated by commas. "
                "Fix: name the columns so"
            )
        return [(rows.line_num, _stripped(row, f"{source.root}: {name}, line {rows.line_num}")) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetLayoutError(f"{source.root}: {name} is not CSV in UTF-8 ({error}). Fix: save it as such") from None


def _stripped(row: dict[str, str], where: str) -> Row:
    if None in row or None in row.values():
        raise DatasetLayoutError(
            f"{where}: more or fewer cells than the header has. Fix: quote a path that holds a comma"
        )
    return {column: cell.strip() for column, cell in row.items()}


def whole_number(row: Row, column: str) -> int:
    """Return a cell as a number.

    Raises:
        ValueError: if it is not a whole number.
    """
    try:
        return int(row[column])
    except ValueError:
        raise ValueError(f"{column} {row[column]!r} is not a whole number") from None


def camera(row: Row) -> int | None:
    """Return the camera ID; ``None`` for an empty cell or a number below 0, an unknown camera."""
    camid = whole_number(row, "camid") if row["camid"] else -1
    return camid if camid >= 0 else None


def _sample(row: Row, folder: str) -> Sample:
    role, pid = row.get("role") or "person", whole_number(row, "pid")
    if role not in ROLES:
        raise ValueError(f"role {role!r} is none of {', '.join(ROLES)}")
    if row["split"] not in SPLITS:
        raise ValueError(f"split {row['split']!r} is none of {', '.join(SPLITS)}")
    if role != "person" and row["split"] != "gallery":
        raise ValueError(f"{role} belongs in the gallery only, not in {row['split']}")
    if role == "person" and pid < 0:
        raise ValueError(f"pid {pid} is negative; give it the role junk or distractor, or a number from 0")
    time = whole_number(row, "time") if row.get("time") else None
    return Sample(posixpath.normpath(posixpath.join(folder, row["path"])), pid, camera(row), ROLES[role], time)


def _read(source: Source) -> Dataset:
    table = _table(source)
    names, folder = FileNames(source.names()), posixpath.dirname(table)
    splits: dict[str, dict[str, Sample]] = {split: {} for split in SPLITS}
    problems, missing = [], []
    for line, row in read_table(source, table, COLUMNS):
        try:
            sample = _sample(row, folder)
        except ValueError as error:
            problems.append(f"line {line}: {without_fix(error)}")
            continue
        if (found := names.find(sample.path)) is None:
            missing.append(f"{row['path']} (line {line})")
        else:
            sample = replace(sample, path=found)
        if splits[row["split"]].setdefault(sample.path, sample) is not sample:
            problems.append(f"line {line}: {row['path']} is in {row['split']} twice")
    _check_table(f"{source.root}: {table}", problems, missing, empty=not any(splits.values()))
    ordered = (tuple(sorted(samples.values(), key=lambda s: s.path)) for samples in splits.values())
    return Dataset("csv", source, *ordered)


def _check_table(where: str, problems: list[str], missing: list[str], *, empty: bool) -> None:
    if problems:
        raise DatasetLayoutError(
            f"{where} has {len(problems):,} invalid lines: {'; '.join(problems[:3])}. Fix: correct them"
        )
    if missing:
        raise DatasetLayoutError(
            f"{where} lists {len(missing):,} files that do not exist: {preview(missing)}. "
            "Fix: write paths relative to the table"
        )
    if empty:
        raise DatasetLayoutError(f"{where} lists no images. Fix: add a line for each image")


def _table(source: Source) -> str:
    tables = [n for n in source.names() if n.lower().endswith(".csv") and not posixpath.basename(n).startswith(".")]
    found = [name for name in tables if posixpath.basename(name) == TABLE] or tables
    if len(found) != 1:
        what = f"{len(found)} tables ({preview(found)})" if found else "no table"
        raise DatasetLayoutError(
            f"{source.root} has {what}; expected one {TABLE} with columns {','.join(COLUMNS)}. "
            "Fix: write one (docs/data.md)"
        )
    return found[0]


def _recognizes(names: Sequence[str]) -> bool:
    return any(posixpath.basename(name) == TABLE for name in names)


def _open(path: str | Path) -> Source:
    """Open the folder or archive that holds the table; the table itself is an error that names its folder."""
    file = Path(path).expanduser()
    if file.is_file() and file.suffix.lower() == ".csv":
        raise DatasetLayoutError(
            f"'{path}' is a file: csv is read from the folder that holds the table. Fix: csv:{Path(path).parent}"
        )
    return open_source(path)


DATASETS.register("csv")(Reader(_read, _recognizes, _open))
