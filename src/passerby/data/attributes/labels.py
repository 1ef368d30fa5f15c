"""Attributes of a data set's people, wherever they are written (:mod:`passerby.data.attributes.schema` says what they are).

    read_attributes("market_attribute.mat")      Market-1501's, of Lin et al.; duke_attribute.mat alike
    read_attributes("people/")                   the attributes.csv or the .mat that a directory or archive holds
    read_attributes("pedestrians:people=60")     of people who are drawn on demand
    read_attributes("mine.csv")                  one's own table, of people or of pictures

A table has a column ``pid`` (or ``person``), a column ``path``, or both, and any of a schema's groups: in words
(``upper_color``: ``red``; ``unknown`` or nothing where nobody knows), or in the annotators' columns and codes
(``upred``: 2). Groups without a column are unknown of everybody; columns of neither kind are ignored.

A person of several rows (pictures, or outfits as ``passerby data synthesize`` numbers them) has those classes that all
rows agree about; each picture has its own.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from passerby.data.attributes.schema import SCHEMAS, UNKNOWN, Schema
from passerby.data.attributes.tables import AttributeRow, read_attribute_rows
from passerby.data.datasets.layout import preview
from passerby.data.datasets.matlab import read_mat
from passerby.data.registry import open_place
from passerby.data.source import ATTRIBUTES, KEYPOINTS, DirectorySource, Source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.types import Role, Sample

Classes: TypeAlias = NDArray[np.int64]
"""``(groups,)``: a class a group, −1 where nobody knows."""
PUBLISHED = {"market_attribute": SCHEMAS["market1501"], "duke_attribute": SCHEMAS["dukemtmc"]}
"""By the variable of the published file, which is called as the file is."""
_WHO = "image_index"


@dataclass(frozen=True, eq=False)
class Attributes:
    """Classes of people and, where pictures differ, of pictures."""

    schema: Schema
    place: str
    """Where they were read."""
    people: Mapping[int, Classes]
    """By pid."""
    pictures: Mapping[str, Classes] = field(default_factory=dict)
    """By path, as samples have it."""

    def of(self, sample: Sample) -> Classes | None:
        """The classes of a sample: its picture's, else its person's; ``None`` where nobody described either."""
        if sample.path in self.pictures:
            return self.pictures[sample.path]
        return self.people.get(sample.pid) if sample.pid is not None and sample.role is Role.PERSON else None

    def of_all(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """``(n, groups)``: the classes of each sample, all unknown where nobody described it.

        Raises:
            DatasetLayoutError: if nobody described any: they are of another data set.
        """
        rows = [self.of(sample) for sample in samples]
        if samples and all(row is None for row in rows):
            raise DatasetLayoutError(
                f"{self.place} describes none of {len(samples):,} pictures ({preview(s.path for s in samples)}), but "
                f"{self._whom()}; are they of this data set?"
            )
        unknown = np.full(len(self.schema.groups), UNKNOWN, np.int64)
        return (
            np.stack([unknown if row is None else row for row in rows]) if rows else np.empty((0, *unknown.shape), int)
        )

    def _whom(self) -> str:
        what, keys = ("people", map(str, self.people)) if self.people else ("pictures", iter(self.pictures))
        return f"{what} {preview(keys)}"


def read_attributes(place: str | Path | Source, schema: Schema | None = None) -> Attributes:
    """The attributes at a place: a ``.mat``, a ``.csv``, what holds one of them, or people who are drawn.

    Args:
        schema: whose groups they are; by default the one that the file's variable or columns fit.

    Raises:
        DatasetLayoutError: if there are none, or they are not in order; tables with line numbers.
        ConfigError: if they are of another schema.
    """
    source, name = _opened(place)
    if source.is_generated:
        return _generated(source, schema)
    if name is None:
        name = _found(source)
    if name.lower().endswith(".mat"):
        return _published(source, name, schema)
    return _tabled(source, name, [schema] if schema else list(SCHEMAS.values()))


def _opened(place: str | Path | Source) -> tuple[Source, str | None]:
    """A source, and the file in it where the place is one."""
    if isinstance(place, Source):
        return place, None
    path = Path(place).expanduser()
    if path.suffix.lower() in (".mat", ".csv"):
        if not path.is_file():
            raise DatasetLayoutError(f"{path} does not exist; give a .mat or .csv of attributes, or what holds one")
        return DirectorySource(path.parent), path.name
    return open_place(place), None


def _found(source: Source) -> str:
    wanted = (ATTRIBUTES, *(f"{variable}.mat" for variable in PUBLISHED))
    found = [name for name in source.names() if posixpath.basename(name) in wanted]
    if len(found) != 1:
        what = f"more than one file of attributes ({preview(found)})" if found else "no file of attributes"
        raise DatasetLayoutError(f"{source.root} has {what}; wanted one {' or '.join(wanted)}, or give the file itself")
    return found[0]


def _same(where: str, found: Schema, wanted: Schema | None) -> None:
    if wanted is not None and wanted != found:
        raise ConfigError(f"the attributes of {where} are {found.name}'s, not {wanted.name}'s")


def _frozen(classes: Sequence[int]) -> Classes:
    row = np.asarray(classes, np.int64)
    row.setflags(write=False)
    return row


def _agreed(rows: Iterable[Sequence[int]]) -> Classes:
    """What all rows of one person say, and unknown where they differ."""
    table = np.asarray(list(rows), np.int64)
    return _frozen(np.where((table == table[0]).all(axis=0), table[0], UNKNOWN).tolist())


# The published files


def _published(source: Source, name: str, schema: Schema | None) -> Attributes:
    where, content = f"{source.root}: {name}", read_mat(source, name)
    variable = next((known for known in PUBLISHED if known in content), None)
    if variable is None:
        raise DatasetLayoutError(f"{where} has none of the variables {', '.join(PUBLISHED)}; got {', '.join(content)}")
    _same(where, PUBLISHED[variable], schema)
    halves = content[variable]
    if not isinstance(halves, dict) or not all(isinstance(half, dict) for half in halves.values()):
        raise DatasetLayoutError(f"{where}: {variable} is not a struct of train and test; fetch the file again")
    people: dict[int, Classes] = {}
    for half, columns in halves.items():
        people |= _half(f"{where}, {half}", columns, PUBLISHED[variable])
    return Attributes(PUBLISHED[variable], where, dict(sorted(people.items())))


def _half(where: str, columns: dict[str, Any], schema: Schema) -> dict[int, Classes]:
    if absent := [column for column in (_WHO, *schema.columns) if column not in columns]:
        raise DatasetLayoutError(f"{where} has no {', '.join(absent)}; {schema.name} has {len(schema.columns)} columns")
    who = [columns[_WHO]] if isinstance(columns[_WHO], str) else columns[_WHO]
    table = {column: np.atleast_1d(columns[column]) for column in schema.columns}
    if odd := [column for column, codes in table.items() if len(codes) != len(who)]:
        raise DatasetLayoutError(f"{where}: {odd[0]} has {len(table[odd[0]])} codes for {len(who)} people")
    rows = ({column: int(codes[number]) for column, codes in table.items()} for number in range(len(who)))
    return dict(_person(where, name, row, schema) for name, row in zip(who, rows, strict=True))


def _person(where: str, name: str, row: Mapping[str, int], schema: Schema) -> tuple[int, Classes]:
    try:
        if not name.isdigit():
            raise DatasetLayoutError(f"{_WHO} is not a number")
        return int(name), _frozen(schema.from_columns(row))
    except DatasetLayoutError as error:
        raise DatasetLayoutError(f"{where}, person {name}: {error}; fetch the file again") from None


# Tables


def _tabled(source: Source, name: str, schemas: Sequence[Schema]) -> Attributes:
    schema, rows = read_attribute_rows(source, name, schemas)
    pictures = {row.path: _frozen(row.classes) for row in rows if row.path is not None}
    pictures |= _dressed(source, posixpath.join(posixpath.dirname(name), KEYPOINTS), rows)
    return Attributes(schema, f"{source.root}: {name}", _by_person(rows), pictures)


def _by_person(rows: Iterable[AttributeRow]) -> dict[int, Classes]:
    """Return the classes that all rows of a person agree about."""
    by_person: dict[int, list[tuple[int, ...]]] = {}
    for row in rows:
        if row.pid is not None:
            by_person.setdefault(row.pid, []).append(row.classes)
    return {pid: _agreed(classes) for pid, classes in sorted(by_person.items())}


def _dressed(source: Source, keypoints: str, rows: Sequence[AttributeRow]) -> dict[str, Classes]:
    """Pictures of people with more than one outfit, by what stands beside the table of a synthetic set."""
    outfits = {(row.pid, row.outfit): _frozen(row.classes) for row in rows if row.outfit}
    if len(outfits) == len({pid for pid, _ in outfits}) or keypoints not in source.names():
        return {}
    folder = posixpath.dirname(keypoints)
    try:
        images = json.loads(source.read(keypoints))["images"]
        worn = {posixpath.join(folder, i["file_name"]): (i["person"], str(i["outfit"])) for i in images}
        return {path: outfits[who] for path, who in worn.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {keypoints} does not say who wears which outfit ({error!r}); write the set anew"
        ) from None


# Generated people


def _generated(source: Source, wanted: Schema | None) -> Attributes:
    """Return what a generator knows of its people; no image is rendered."""
    schema, rows = read_attribute_rows(source, ATTRIBUTES, list(SCHEMAS.values()))
    _same(source.place, schema, wanted)
    worn = {(row.pid, int(row.outfit)): _frozen(row.classes) for row in rows}
    people = _by_person(rows)
    pictures = {}
    if len(worn) > len(people):
        pictures = {name: worn[who] for name, who in source.outfits().items()}
    return Attributes(schema, source.place, people, pictures)
