"""Read the attributes of a dataset's people, in any of the forms they come in.

    read_attributes("market_attribute.mat")      Market-1501's, of Lin et al.; duke_attribute.mat likewise
    read_attributes("people/")                   the attributes.csv or the .mat in a directory or archive
    read_attributes("pedestrians:people=60")     the attributes of generated people
    read_attributes("mine.csv")                  a table of one's own, of people or of images

A table has a column ``pid`` (or ``person``), a column ``path``, or both, and any groups of a schema
(:mod:`passerby.data.attributes.schema`): as words (``upper_color``: ``red``; ``unknown`` or an empty cell for an
unknown value), or in the annotators' columns and codes (``upred``: 2). Groups without a column are unknown for all
people; other columns are ignored.

A person with several rows (images, or outfits as ``passerby data synthesize`` numbers them) has the classes that all
rows agree on; each image has its own.
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
"""The class of each group, ``(groups,)``; −1 if it is unknown."""
PUBLISHED = {"market_attribute": SCHEMAS["market1501"], "duke_attribute": SCHEMAS["dukemtmc"]}
"""The schemas of the published files, by the variable in the file, which has the file's name."""
_PERSON = "image_index"


@dataclass(frozen=True, eq=False)
class Attributes:
    """The classes of people and, where images differ, of images."""

    schema: Schema
    place: str
    """The place that they were read from."""
    people: Mapping[int, Classes]
    """The classes of each person, by person ID."""
    images: Mapping[str, Classes] = field(default_factory=dict)
    """The classes of each image, by the path of its sample."""

    def of(self, sample: Sample) -> Classes | None:
        """Return the classes of a sample: its image's, else its person's; ``None`` if neither is described."""
        if sample.path in self.images:
            return self.images[sample.path]
        return self.people.get(sample.pid) if sample.pid is not None and sample.role is Role.PERSON else None

    def of_all(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """Return the classes of each sample, ``(n, groups)``; all are unknown for a sample that is not described.

        Raises:
            DatasetLayoutError: if no sample is described: the attributes are of another dataset.
        """
        rows = [self.of(sample) for sample in samples]
        if samples and all(row is None for row in rows):
            raise DatasetLayoutError(
                f"{self.place} describes none of {len(samples):,} images ({preview(s.path for s in samples)}), but "
                f"{self._described()}. Fix: give the attributes of this dataset"
            )
        unknown = np.full(len(self.schema.groups), UNKNOWN, np.int64)
        return (
            np.stack([unknown if row is None else row for row in rows]) if rows else np.empty((0, *unknown.shape), int)
        )

    def _described(self) -> str:
        what, keys = ("people", map(str, self.people)) if self.people else ("images", iter(self.images))
        return f"{what} {preview(keys)}"


def read_attributes(
    place: str | Path | Source, schema: Schema | None = None, *, fix: str = "give the .mat or .csv itself"
) -> Attributes:
    """Read the attributes at a place.

    Args:
        place: a ``.mat`` or ``.csv``, a directory or archive that contains one of them, or a generated dataset.
        schema: the schema of the groups; by default the one that the file's variable or columns match.
        fix: what to do where the place contains no attributes: the caller's way to name a file.

    Raises:
        DatasetLayoutError: if there are none, or they are not valid; for tables with line numbers.
        ConfigError: if they are of another schema.
    """
    source, name = _opened(place)
    if source.is_generated:
        return _generated(source, schema)
    if name is None:
        name = _found(source, fix)
    if name.lower().endswith(".mat"):
        return _published(source, name, schema)
    return _tabled(source, name, [schema] if schema else list(SCHEMAS.values()))


def _opened(place: str | Path | Source) -> tuple[Source, str | None]:
    """Return a source, and the file in it if the place is a file."""
    if isinstance(place, Source):
        return place, None
    path = Path(place).expanduser()
    if path.suffix.lower() in (".mat", ".csv"):
        if not path.is_file():
            raise DatasetLayoutError(
                f"{path} does not exist. Fix: give a .mat or .csv of attributes, or a folder or archive with one"
            )
        return DirectorySource(path.parent), path.name
    return open_place(place), None


def _found(source: Source, fix: str) -> str:
    wanted = (ATTRIBUTES, *(f"{variable}.mat" for variable in PUBLISHED))
    found = [name for name in source.names() if posixpath.basename(name) in wanted]
    if len(found) != 1:
        what = f"more than one file of attributes ({preview(found)})" if found else "no file of attributes"
        raise DatasetLayoutError(f"'{source.root}' has {what}; expected one {' or '.join(wanted)}. Fix: {fix}")
    return found[0]


def _check_schema(where: str, found: Schema, wanted: Schema | None) -> None:
    if wanted is not None and wanted != found:
        raise ConfigError(
            f"the attributes of {where} are {found.name}'s, not {wanted.name}'s. "
            f"Fix: give the attributes of {wanted.name}"
        )


def _read_only(classes: Sequence[int]) -> Classes:
    row = np.asarray(classes, np.int64)
    row.setflags(write=False)
    return row


def _agreed(rows: Iterable[Sequence[int]]) -> Classes:
    """Return the classes that all rows of one person agree on, and unknown where they differ."""
    table = np.asarray(list(rows), np.int64)
    return _read_only(np.where((table == table[0]).all(axis=0), table[0], UNKNOWN).tolist())


# The published files


def _published(source: Source, name: str, schema: Schema | None) -> Attributes:
    where, content = f"{source.root}: {name}", read_mat(source, name)
    variable = next((known for known in PUBLISHED if known in content), None)
    if variable is None:
        raise DatasetLayoutError(
            f"{where} has none of the variables {', '.join(PUBLISHED)}; got {', '.join(content)}. "
            "Fix: fetch the file again"
        )
    _check_schema(where, PUBLISHED[variable], schema)
    halves = content[variable]
    if not isinstance(halves, dict) or not all(isinstance(half, dict) for half in halves.values()):
        raise DatasetLayoutError(f"{where}: {variable} is not a struct of train and test. Fix: fetch the file again")
    people: dict[int, Classes] = {}
    for half, columns in halves.items():
        people |= _half(f"{where}, {half}", columns, PUBLISHED[variable])
    return Attributes(PUBLISHED[variable], where, dict(sorted(people.items())))


def _half(where: str, columns: dict[str, Any], schema: Schema) -> dict[int, Classes]:
    if absent := [column for column in (_PERSON, *schema.columns) if column not in columns]:
        raise DatasetLayoutError(
            f"{where} has no {', '.join(absent)}; {schema.name} has {len(schema.columns)} columns. "
            "Fix: fetch the file again"
        )
    names = [columns[_PERSON]] if isinstance(columns[_PERSON], str) else columns[_PERSON]
    table = {column: np.atleast_1d(columns[column]) for column in schema.columns}
    if odd := [column for column, codes in table.items() if len(codes) != len(names)]:
        raise DatasetLayoutError(
            f"{where}: {odd[0]} has {len(table[odd[0]])} codes for {len(names)} people. Fix: fetch the file again"
        )
    rows = ({column: int(codes[number]) for column, codes in table.items()} for number in range(len(names)))
    return dict(_person(where, name, row, schema) for name, row in zip(names, rows, strict=True))


def _person(where: str, name: str, row: Mapping[str, int], schema: Schema) -> tuple[int, Classes]:
    try:
        if not name.isdigit():
            raise DatasetLayoutError(f"{_PERSON} is not a number")
        return int(name), _read_only(schema.from_columns(row))
    except DatasetLayoutError as error:
        raise DatasetLayoutError(f"{where}, person {name}: {error}. Fix: fetch the file again") from None


# Tables


def _tabled(source: Source, name: str, schemas: Sequence[Schema]) -> Attributes:
    schema, rows = read_attribute_rows(source, name, schemas)
    images = {row.path: _read_only(row.classes) for row in rows if row.path is not None}
    images |= _by_outfit(source, posixpath.join(posixpath.dirname(name), KEYPOINTS), rows)
    return Attributes(schema, f"{source.root}: {name}", _by_person(rows), images)


def _by_person(rows: Iterable[AttributeRow]) -> dict[int, Classes]:
    """Return the classes that all rows of a person agree on."""
    by_person: dict[int, list[tuple[int, ...]]] = {}
    for row in rows:
        if row.pid is not None:
            by_person.setdefault(row.pid, []).append(row.classes)
    return {pid: _agreed(classes) for pid, classes in sorted(by_person.items())}


def _by_outfit(source: Source, keypoints: str, rows: Sequence[AttributeRow]) -> dict[str, Classes]:
    """Return the classes of images of people with several outfits, from the files beside a synthetic table."""
    outfits = {(row.pid, row.outfit): _read_only(row.classes) for row in rows if row.outfit}
    if len(outfits) == len({pid for pid, _ in outfits}) or keypoints not in source.names():
        return {}
    folder = posixpath.dirname(keypoints)
    try:
        images = json.loads(source.read(keypoints))["images"]
        worn = {posixpath.join(folder, i["file_name"]): (i["person"], str(i["outfit"])) for i in images}
        return {path: outfits[outfit] for path, outfit in worn.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {keypoints} does not tell who wears which outfit ({error!r}). "
            "Fix: generate the dataset again"
        ) from None


# Generated people


def _generated(source: Source, wanted: Schema | None) -> Attributes:
    """Return the attributes of a generator's people; no image is rendered."""
    schema, rows = read_attribute_rows(source, ATTRIBUTES, list(SCHEMAS.values()))
    _check_schema(source.place, schema, wanted)
    worn = {(row.pid, int(row.outfit)): _read_only(row.classes) for row in rows}
    people = _by_person(rows)
    images = {}
    if len(worn) > len(people):
        images = {name: worn[outfit] for name, outfit in source.outfits().items()}
    return Attributes(schema, source.place, people, images)
