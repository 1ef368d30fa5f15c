"""Attribute schemas: groups of classes, and the columns of the annotation files.

The same facts have two forms: *classes*, one index per group (−1 if it is unknown), as models predict them; and
*columns*, the names and codes of the annotation files (Lin et al., Improving Person Re-identification by Attribute and
Identity Learning, Pattern Recognition 2019), where a color is spread over one yes/no column per class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError

UNKNOWN = -1
"""The class of an unknown value: one in ten people of Market-1501 wears none of the eight upper colors."""
NO, YES = 1, 2


@dataclass(frozen=True)
class Attribute:
    """A group of values, exactly one of which applies to a person."""

    name: str
    values: tuple[str, ...]
    columns: tuple[str, ...]
    """The columns of the annotation file: one of codes 1…n, or one per value with no (1) and yes (2)."""
    gaps: bool = False
    """A flag of groups that annotators left out for some: code 0, and several values at once, mean unknown."""

    def __post_init__(self) -> None:
        if len(self.columns) not in (1, len(self.values)):
            raise ConfigError(
                f"attribute {self.name!r} has {len(self.values)} values and {len(self.columns)} columns; "
                "give one column of codes, or one for each value"
            )

    def __len__(self) -> int:
        return len(self.values)

    def index(self, value: str) -> int:
        """Return the index of a value by its name."""
        if value not in self.values:
            raise UnknownNameError(f"value of {self.name}", value, self.values)
        return self.values.index(value)

    def encode(self, cls: int) -> dict[str, int]:
        """Return the columns that encode class ``cls``."""
        if not UNKNOWN <= cls < len(self):
            raise ConfigError(f"attribute {self.name!r} has classes 0…{len(self) - 1} (−1: unknown), got {cls}")
        if len(self.columns) == 1:
            if cls == UNKNOWN and not self.gaps:
                raise ConfigError(f"attribute {self.name!r} is one column of codes, without a code for unknown")
            return {self.columns[0]: cls + 1}
        return {column: YES if place == cls else NO for place, column in enumerate(self.columns)}

    def decode(self, row: Mapping[str, int]) -> int:
        """Return the class that the columns of ``row`` encode; unknown if every column of a spread group is no."""
        codes = [int(row[column]) for column in self.columns]
        if len(codes) == 1:
            self._check(codes, len(self), least=0 if self.gaps else 1)
            return codes[0] - 1  # 0, a gap, is −1, unknown
        self._check(codes, YES)
        if codes.count(YES) > 1:
            if self.gaps:
                return UNKNOWN
            given = [column for column, code in zip(self.columns, codes, strict=True) if code == YES]
            raise DatasetLayoutError(f"attribute {self.name!r} has one value per person, got yes in {', '.join(given)}")
        return codes.index(YES) if YES in codes else UNKNOWN

    def _check(self, codes: Sequence[int], most: int, *, least: int = 1) -> None:
        for column, code in zip(self.columns, codes, strict=True):
            if not least <= code <= most:
                raise DatasetLayoutError(f"column {column!r} holds codes {least} to {most}, got {code}")


@dataclass(frozen=True)
class Schema:
    """The groups of one dataset, in the order of a model's logits."""

    name: str
    groups: tuple[Attribute, ...]
    columns: tuple[str, ...]
    """The columns, in the order of the annotation file."""

    def __post_init__(self) -> None:
        spread = [column for group in self.groups for column in group.columns]
        if sorted(spread) != sorted(self.columns):
            odd = sorted(set(spread) ^ set(self.columns)) or sorted(spread)
            raise ConfigError(f"schema {self.name!r}: groups and columns differ in {', '.join(odd)}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of classes of each group."""
        return tuple(len(group) for group in self.groups)

    @property
    def logits(self) -> int:
        """The number of outputs of a model that predicts every group."""
        return sum(self.sizes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The slice of each group among all logits."""
        ends = [sum(self.sizes[: place + 1]) for place in range(len(self.groups))]
        return tuple(slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True))

    def index(self, name: str) -> int:
        """Return the index of a group by its name.

        >>> MARKET.index("age")
        9
        """
        names = [group.name for group in self.groups]
        if name not in names:
            raise UnknownNameError(f"attribute of {self.name}", name, names)
        return names.index(name)

    def __getitem__(self, name: str) -> Attribute:
        return self.groups[self.index(name)]

    def to_columns(self, classes: Sequence[int]) -> dict[str, int]:
        """Return the annotation file's columns, in its order, of one class per group.

        >>> MARKET.to_columns([1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 2, 6])["upred"]
        2
        """
        if len(classes) != len(self.groups):
            raise ConfigError(f"{self.name} has {len(self.groups)} attributes, got {len(classes)} classes")
        codes: dict[str, int] = {}
        for group, cls in zip(self.groups, classes, strict=True):
            codes |= group.encode(int(cls))
        return {column: codes[column] for column in self.columns}

    def from_columns(self, row: Mapping[str, int]) -> tuple[int, ...]:
        """Return one class per group of the annotation file's columns; their order is free, others are ignored."""
        missing = [column for column in self.columns if column not in row]
        if missing:
            raise DatasetLayoutError(
                f"no column {', '.join(missing)}: {self.name} has {len(self.columns)} columns: "
                f"{', '.join(self.columns)}"
            )
        return tuple(group.decode(row) for group in self.groups)

    def from_values(self, values: Mapping[str, str]) -> tuple[int, ...]:
        """Return one class per group of values by name of group."""
        missing = [group.name for group in self.groups if group.name not in values]
        if missing:
            raise ConfigError(
                f"{self.name} needs a value for {', '.join(missing)}; got {', '.join(values)}. "
                "Fix: add the missing ones"
            )
        return tuple(group.index(values[group.name]) for group in self.groups)

    def to_values(self, classes: Sequence[int]) -> dict[str, str]:
        """Return values by name of group, the inverse of :meth:`from_values`; an unknown class is ``unknown``."""
        named = zip(self.groups, classes, strict=True)
        return {group.name: "unknown" if cls == UNKNOWN else group.values[cls] for group, cls in named}


def _spread(name: str, prefix: str, values: str, *, gaps: bool = False) -> Attribute:
    names = tuple(values.split())
    return Attribute(name, names, tuple(prefix + value for value in names), gaps)


def _schema(name: str, *groups: Attribute) -> Schema:
    return Schema(name, groups, tuple(column for group in groups for column in group.columns))


MARKET = _schema(
    "Market-1501",
    Attribute("gender", ("male", "female"), ("gender",)),
    Attribute("hair length", ("short", "long"), ("hair",)),
    Attribute("sleeve length", ("long", "short"), ("up",)),
    Attribute("length of lower", ("long", "short"), ("down",)),
    Attribute("type of lower", ("dress", "pants"), ("clothes",)),
    Attribute("hat", ("no", "yes"), ("hat",)),
    Attribute("backpack", ("no", "yes"), ("backpack",)),
    Attribute("bag", ("no", "yes"), ("bag",)),
    Attribute("handbag", ("no", "yes"), ("handbag",)),
    Attribute("age", ("young", "teenager", "adult", "old"), ("age",)),
    _spread("upper color", "up", "black white red purple yellow gray blue green"),
    _spread("lower color", "down", "black white pink purple yellow gray blue green brown"),
)
"""The schema of Market-1501: twelve groups, 39 logits, 27 columns."""

DUKE = _schema(
    "DukeMTMC-reID",
    Attribute("backpack", ("no", "yes"), ("backpack",)),
    Attribute("bag", ("no", "yes"), ("bag",)),
    Attribute("handbag", ("no", "yes"), ("handbag",)),
    Attribute("boots", ("no", "yes"), ("boots",)),
    Attribute("gender", ("male", "female"), ("gender",)),
    Attribute("hat", ("no", "yes"), ("hat",)),
    Attribute("shoe color", ("dark", "light"), ("shoes",)),
    Attribute("length of upper", ("short", "long"), ("top",), gaps=True),
    _spread("upper color", "up", "black white red purple gray blue green brown", gaps=True),
    _spread("lower color", "down", "black white red gray blue green brown", gaps=True),
)
"""The schema of DukeMTMC-reID: ten groups, 31 logits, 23 columns. Of its 1,812 people two have no length of upper
(code 0), 15 no single upper color and 34 no single lower one."""

SCHEMAS = {"market1501": MARKET, "dukemtmc": DUKE}
"""The schemas by the dataset's name in a config."""


def schema_of(name: str) -> Schema:
    """Return the schema of a dataset.

    Raises:
        UnknownNameError: if none is known.
    """
    if name not in SCHEMAS:
        raise UnknownNameError("attribute schema", name, SCHEMAS)
    return SCHEMAS[name]
