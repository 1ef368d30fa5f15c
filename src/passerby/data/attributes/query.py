"""Attributes that are asked for, as people write them: ``backpack=yes,upper_color=red``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from passerby.data.attributes.schema import Schema
from passerby.data.attributes.tables import normalize_name
from passerby.errors import ConfigError


@dataclass(frozen=True)
class AttributeQuery:
    """One value each of some groups."""

    schema: Schema
    classes: Mapping[int, int]
    """Of a group's place in the schema: the place of the value that is asked for."""

    @property
    def values(self) -> dict[str, str]:
        """By name."""
        groups = self.schema.groups
        return {groups[place].name: groups[place].values[cls] for place, cls in self.classes.items()}

    def __str__(self) -> str:
        return ", ".join(f"{group} = {value}" for group, value in self.values.items())


def attribute_query(asked: str | Mapping[str, str], schema: Schema) -> AttributeQuery:
    """What is asked for, in text or by name of group. Capitals, blanks, underscores and hyphens do not matter.

    Raises:
        ConfigError: for a group or value that the schema has not, a group asked for twice, or nothing asked.

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
            raise ConfigError(f"{group.name} is asked for twice; a picture has one value of it: keep one")
        classes[place] = _place("value", value, group.values, group.name)
    if not classes:
        raise ConfigError("no attribute is asked for; write GROUP=VALUE,…: backpack=yes,upper_color=red, for example")
    return AttributeQuery(schema, classes)


def group_place(name: str, schema: Schema) -> int:
    """Of a group that is named as people write it.

    Raises:
        ConfigError: if the schema has no such group.
    """
    return _place("attribute", name, tuple(group.name for group in schema.groups), schema.name)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ConfigError(f"attributes are asked for as GROUP=VALUE,… (backpack=yes, for example), got {part!r}")
        pairs.append((name, value))
    return pairs


def _place(kind: str, said: str, names: tuple[str, ...], whose: str) -> int:
    known = {normalize_name(name): place for place, name in enumerate(names)}
    if normalize_name(said) not in known:
        possible = ", ".join(name.replace(" ", "_") for name in names)
        raise ConfigError(f"{whose} has no {kind} {said.strip()!r}; it has {possible}")
    return known[normalize_name(said)]
