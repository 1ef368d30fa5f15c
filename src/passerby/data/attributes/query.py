"""Search by attributes: ``backpack=yes,upper_color=red``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from passerby.data.attributes.schema import Schema
from passerby.data.attributes.tables import normalize_name
from passerby.errors import ConfigError


@dataclass(frozen=True)
class AttributeQuery:
    """A query for one value of each of some groups."""

    schema: Schema
    classes: Mapping[int, int]
    """The index of the wanted value, by the index of its group."""

    @property
    def values(self) -> dict[str, str]:
        """The wanted values, by name of group."""
        groups = self.schema.groups
        return {groups[place].name: groups[place].values[cls] for place, cls in self.classes.items()}

    def __str__(self) -> str:
        return ", ".join(f"{group} = {value}" for group, value in self.values.items())


def attribute_query(asked: str | Mapping[str, str], schema: Schema) -> AttributeQuery:
    """Parse a query, given as text or by name of group. Case, blanks, underscores and hyphens do not matter.

    Raises:
        ConfigError: for an unknown group or value, a group that is given twice, or an empty query.

    >>> from passerby.data.attributes.schema import MARKET
    >>> str(attribute_query("backpack=yes,Upper_Color=red", MARKET))
    'backpack = yes, upper color = red'
    """
    pairs = _pairs(asked) if isinstance(asked, str) else list(asked.items())
    classes: dict[int, int] = {}
    for name, value in pairs:
        place = group_place(name, schema)
        group = schema.groups[place]
        if place in classes:
            raise ConfigError(f"{group.name} is given twice, but an image has one value of it. Fix: keep one")
        classes[place] = _place("value", value, group.values, group.name)
    if not classes:
        raise ConfigError("no attribute is given. Fix: write GROUP=VALUE,…, for example backpack=yes,upper_color=red")
    return AttributeQuery(schema, classes)


def group_place(name: str, schema: Schema) -> int:
    """Return the index of a group by its name, however it is spelled.

    Raises:
        ConfigError: if the schema has no such group.
    """
    return _place("attribute", name, tuple(group.name for group in schema.groups), schema.name)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ConfigError(
                f"expected attributes as GROUP=VALUE,… (backpack=yes, for example), got {part!r}. Fix: write them so"
            )
        pairs.append((name, value))
    return pairs


def _place(kind: str, name: str, names: tuple[str, ...], whose: str) -> int:
    known = {normalize_name(each): place for place, each in enumerate(names)}
    if normalize_name(name) not in known:
        possible = ", ".join(each.replace(" ", "_") for each in names)
        raise ConfigError(f"{whose} has no {kind} {name.strip()!r}; it has {possible}. Fix: write one of these")
    return known[normalize_name(name)]
