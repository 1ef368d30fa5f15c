"""A table of attributes: which columns say which group, and each row's classes.

A group is one column, called as the group (``upper_color``) or as the annotators' column (``up``), with a value in
words (``red``), a code from 1 where the annotators have codes, or nothing where nobody knows; or it is the annotators'
column a value (``upblack``, ``upwhite``, …) with codes of no (1) and yes (2).
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

from passerby.compat import current_attribute
from passerby.data.attributes.schema import UNKNOWN, Attribute, Schema
from passerby.data.datasets.csv import Row, read_table, whole_number
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, UnknownNameError

PIDS = ("pid", "person")
_OTHERS = {*PIDS, "path", "outfit"}
_CLOSE = 0.8
"""Likeness from which another column's name is taken for a group's misspelt one."""


class AttributeRow(NamedTuple):
    """What one row says."""

    pid: int | None
    outfit: str
    """Empty where the table has none."""
    path: str | None
    """Relative to the source."""
    classes: tuple[int, ...]


def normalize_name(name: str) -> str:
    """What names have in common that differ in case, blanks, underscores, hyphens and British spelling.

    >>> key("Upper_Color")
    'upper color'
    """
    return current_attribute(name.strip().lower()).replace("_", " ").replace("-", " ")


def read_attribute_rows(source: Source, name: str, schemas: Sequence[Schema]) -> tuple[Schema, list[AttributeRow]]:
    """The rows of a table, and that one of the schemas which its columns fit best.

    Raises:
        DatasetLayoutError: if the table is not in order, with line numbers; or it fits no schema, or two alike.
    """
    where = f"{source.root}: {name}"
    rows = read_table(source, name, ())
    if not rows:
        raise DatasetLayoutError(f"{where} has no rows; wanted a header and a row for each person or picture")
    header = list(rows[0][1])
    if "path" not in header and not any(pid in header for pid in PIDS):
        raise DatasetLayoutError(
            f"{where} has no column path, pid or person to say who is meant; got {','.join(header)}"
        )
    schema = _fitting(where, header, schemas)
    plan = _plan(where, header, schema)
    folder, problems, described = posixpath.dirname(name), [], list[AttributeRow]()
    seen: dict[Hashable, int] = {}
    for line, row in rows:
        found = _described(row, plan, folder)
        if isinstance(found, str):
            problems.append(f"line {line}: {found}")
            continue
        about = found.path or (found.pid, found.outfit)
        if (first := seen.setdefault(about, line)) != line:
            problems.append(f"line {line}: {found.path or f'person {found.pid}'} is in line {first} already")
        described.append(found)
    if problems:
        raise DatasetLayoutError(f"{where} has {len(problems):,} lines not in order: {'; '.join(problems[:3])}")
    return schema, described


def _fitting(where: str, header: Collection[str], schemas: Sequence[Schema]) -> Schema:
    """The schema most of whose groups the header has."""
    fits = [sum(bool(_columns(group, header)) for group in schema.groups) for schema in schemas]
    best = [schema for schema, fit in zip(schemas, fits, strict=True) if fit == max(fits)]
    if max(fits) == 0:
        names = ", ".join(normalize_name(group.name).replace(" ", "_") for group in schemas[0].groups)
        raise DatasetLayoutError(
            f"{where} has no column of {schemas[0].name}'s groups ({names}); got {','.join(header)}"
        )
    if len(best) > 1:
        names = " and ".join(schema.name for schema in best)
        raise DatasetLayoutError(f"{where} fits the schemas of {names} alike; say which: read_attributes(…, schema)")
    return best[0]


def _columns(group: Attribute, header: Collection[str]) -> list[str]:
    """Columns of the header that say a group: one or, where it is spread, all."""
    names = {
        normalize_name(group.name),
        *(normalize_name(column) for column in group.columns if len(group.columns) == 1),
    }
    named = [column for column in header if normalize_name(column) in names]
    spread = [column for column in group.columns if column in header] if len(group.columns) > 1 else []
    return named + (spread if len(spread) == len(group.columns) else [])


def _plan(where: str, header: Collection[str], schema: Schema) -> tuple[tuple[Attribute, list[str]], ...]:
    """The columns of each group; none where it is unknown of everybody.

    Raises:
        DatasetLayoutError: for a group that is said twice or in part, or a column that is nearly one of a group.
    """
    plan = tuple((group, _columns(group, header)) for group in schema.groups)
    for group, columns in plan:
        if len(columns) not in (0, 1, len(group.columns)):
            raise DatasetLayoutError(f"{where} says {group.name} in more than one way: {', '.join(columns)}; keep one")
        part = [column for column in group.columns if column in header and not columns]
        if part:
            missing = [column for column in group.columns if column not in header]
            raise DatasetLayoutError(
                f"{where} has {', '.join(part)} and no column {', '.join(missing)} of {group.name}"
            )
    _refuse_misspelt(where, set(header) - {column for _, columns in plan for column in columns} - _OTHERS, schema)
    return plan


def _refuse_misspelt(where: str, columns: Collection[str], schema: Schema) -> None:
    known = {normalize_name(group.name): group.name for group in schema.groups}
    for column in sorted(columns):
        if near := difflib.get_close_matches(normalize_name(column), list(known), n=1, cutoff=_CLOSE):
            raise DatasetLayoutError(
                f"{where} has a column {column}; did you mean {near[0].replace(' ', '_')}? (rename it if it is another)"
            )


def _described(row: Row, plan: Sequence[tuple[Attribute, list[str]]], folder: str) -> AttributeRow | str:
    """A row; or what is wrong with it."""
    try:
        column = next((pid for pid in PIDS if row.get(pid)), None)
        pid = whole_number(row, column) if column else None
        path = posixpath.normpath(posixpath.join(folder, row["path"])) if row.get("path") else None
        if pid is None and path is None:
            raise ValueError("it says neither which person nor which picture")
        if pid is not None and pid < 0:
            raise ValueError(f"pid {pid} is negative; attributes are of people")
        classes = tuple(_class(group, {c: row[c] for c in columns}) for group, columns in plan)
        return AttributeRow(pid, row.get("outfit", ""), path, classes)
    except (ValueError, UnknownNameError, DatasetLayoutError) as error:
        return str(error)


def _class(group: Attribute, cells: Mapping[str, str]) -> int:
    """The class that a group's cells say.

    Raises:
        ValueError, UnknownNameError, DatasetLayoutError: in plain words.
    """
    if len(cells) > 1:
        if not any(cells.values()):
            return UNKNOWN
        return group.decode({column: whole_number(dict(cells), column) for column in cells})
    said = normalize_name(next(iter(cells.values()), ""))
    if said in ("", "unknown"):
        return UNKNOWN
    if said.isdigit() and len(group.columns) == 1:
        return group.decode({group.columns[0]: int(said)})
    return group.index(next((value for value in group.values if normalize_name(value) == said), said))
