"""Read tables of attributes: which columns belong to which group, and each row's classes.

A group is one column, named like the group (``upper_color``) or like the annotators' column (``up``), with a value as a
word (``red``), a code from 1 if the annotators have codes, or an empty cell if it is unknown; or it is the annotators'
columns, one per value (``upblack``, ``upwhite``, …), with codes of no (1) and yes (2).
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
from passerby.errors import DatasetLayoutError, UnknownNameError, without_fix

PIDS = ("pid", "person")
_OTHERS = {*PIDS, "path", "outfit"}
_CLOSE = 0.8
"""The similarity from which a column's name is taken for a misspelled group."""


class AttributeRow(NamedTuple):
    """The content of one row."""

    pid: int | None
    outfit: str
    """The outfit; empty if the table has none."""
    path: str | None
    """The path of the image relative to the source."""
    classes: tuple[int, ...]


def normalize_name(name: str) -> str:
    """Return a name in lower case, with blanks for underscores and hyphens, and in US spelling.

    >>> normalize_name("Upper_Color")
    'upper color'
    """
    return current_attribute(name.strip().lower()).replace("_", " ").replace("-", " ")


def read_attribute_rows(source: Source, name: str, schemas: Sequence[Schema]) -> tuple[Schema, list[AttributeRow]]:
    """Return the schema that a table's columns match best, and its rows.

    Raises:
        DatasetLayoutError: if the table is not valid, with line numbers; or it matches no schema, or two equally.
    """
    where = f"{source.root}: {name}"
    rows = read_table(source, name, ())
    if not rows:
        raise DatasetLayoutError(
            f"{where} has no rows; expected a header, and a row for each person or image. Fix: write them"
        )
    header = list(rows[0][1])
    if "path" not in header and not any(pid in header for pid in PIDS):
        raise DatasetLayoutError(
            f"{where} has no column path, pid or person; got {','.join(header)}. Fix: add one of these columns"
        )
    schema = _fitting(where, header, schemas)
    plan = _plan(where, header, schema)
    folder, problems, described = posixpath.dirname(name), [], list[AttributeRow]()
    seen: dict[Hashable, int] = {}
    for line, row in rows:
        found = _described(row, plan, folder)
        if isinstance(found, str):
            problems.append(f"line {line}: {without_fix(found)}")
            continue
        about = found.path or (found.pid, found.outfit)
        if (first := seen.setdefault(about, line)) != line:
            problems.append(f"line {line}: {found.path or f'person {found.pid}'} is in line {first} already")
        described.append(found)
    if problems:
        raise DatasetLayoutError(
            f"{where} has {len(problems):,} invalid lines: {'; '.join(problems[:3])}. Fix: correct them"
        )
    return schema, described


def _fitting(where: str, header: Collection[str], schemas: Sequence[Schema]) -> Schema:
    """Return the schema most of whose groups the header has."""
    fits = [sum(bool(_columns(group, header)) for group in schema.groups) for schema in schemas]
    best = [schema for schema, fit in zip(schemas, fits, strict=True) if fit == max(fits)]
    if max(fits) == 0:
        names = ", ".join(normalize_name(group.name).replace(" ", "_") for group in schemas[0].groups)
        raise DatasetLayoutError(
            f"{where} has no column of {schemas[0].name}'s groups ({names}); got {','.join(header)}. "
            "Fix: name the columns so"
        )
    if len(best) > 1:
        names = " and ".join(schema.name for schema in best)
        raise DatasetLayoutError(
            f"{where} matches the schemas of {names} equally. Fix: name one, read_attributes(…, schema)"
        )
    return best[0]


def _columns(group: Attribute, header: Collection[str]) -> list[str]:
    """Return the columns of the header that encode a group: one or, if it is spread, all."""
    names = {
        normalize_name(group.name),
        *(normalize_name(column) for column in group.columns if len(group.columns) == 1),
    }
    named = [column for column in header if normalize_name(column) in names]
    spread = [column for column in group.columns if column in header] if len(group.columns) > 1 else []
    return named + (spread if len(spread) == len(group.columns) else [])


def _plan(where: str, header: Collection[str], schema: Schema) -> tuple[tuple[Attribute, list[str]], ...]:
    """Return the columns of each group; none for a group that is unknown for all people.

    Raises:
        DatasetLayoutError: for a group that is given twice or in part, or a column that is nearly a group's.
    """
    plan = tuple((group, _columns(group, header)) for group in schema.groups)
    for group, columns in plan:
        if len(columns) not in (0, 1, len(group.columns)):
            raise DatasetLayoutError(
                f"{where} has {group.name} in more than one form: {', '.join(columns)}. Fix: keep one"
            )
        part = [column for column in group.columns if column in header and not columns]
        if part:
            missing = [column for column in group.columns if column not in header]
            raise DatasetLayoutError(
                f"{where} has {', '.join(part)} and no column {', '.join(missing)} of {group.name}. Fix: add it"
            )
    _check_misspelled(where, set(header) - {column for _, columns in plan for column in columns} - _OTHERS, schema)
    return plan


def _check_misspelled(where: str, columns: Collection[str], schema: Schema) -> None:
    known = {normalize_name(group.name): group.name for group in schema.groups}
    for column in sorted(columns):
        if near := difflib.get_close_matches(normalize_name(column), list(known), n=1, cutoff=_CLOSE):
            raise DatasetLayoutError(
                f"{where} has a column {column}; did you mean {near[0].replace(' ', '_')}? "
                "Fix: rename it, also if it is another one"
            )


def _described(row: Row, plan: Sequence[tuple[Attribute, list[str]]], folder: str) -> AttributeRow | str:
    """Return the content of a row, or what is wrong with it."""
    try:
        column = next((pid for pid in PIDS if row.get(pid)), None)
        pid = whole_number(row, column) if column else None
        path = posixpath.normpath(posixpath.join(folder, row["path"])) if row.get("path") else None
        if pid is None and path is None:
            raise ValueError("it names neither a person nor an image")
        if pid is not None and pid < 0:
            raise ValueError(f"pid {pid} is negative; attributes belong to people")
        classes = tuple(_class(group, {c: row[c] for c in columns}) for group, columns in plan)
        return AttributeRow(pid, row.get("outfit", ""), path, classes)
    except (ValueError, UnknownNameError, DatasetLayoutError) as error:
        return str(error)


def _class(group: Attribute, cells: Mapping[str, str]) -> int:
    """Return the class that a group's cells encode.

    Raises:
        ValueError, UnknownNameError, DatasetLayoutError: if they encode none.
    """
    if len(cells) > 1:
        if not any(cells.values()):
            return UNKNOWN
        return group.decode({column: whole_number(dict(cells), column) for column in cells})
    given = normalize_name(next(iter(cells.values()), ""))
    if given in ("", "unknown"):
        return UNKNOWN
    if given.isdigit() and len(group.columns) == 1:
        return group.decode({group.columns[0]: int(given)})
    return group.index(next((value for value in group.values if normalize_name(value) == given), given))
