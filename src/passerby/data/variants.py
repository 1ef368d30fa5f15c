"""Layouts that may be read in more than one way: which settings they have, and how a person writes them.

``cuhk03:protocol=old,split=3:/data/cuhk03`` is a name, its settings and a path. Settings stand before the path, as
``pedestrians:people=60`` has them, so that a path may hold any character, shells need no quotes (``?`` and ``&`` would)
and complete the path. A path that itself begins so (``a=b:c``) is written ``./a=b:c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from passerby.errors import ConfigError, UnknownNameError

Setting: TypeAlias = Callable[[str], Any]
"""Text to value; a ``ValueError`` says in plain words what was wanted."""
_WRITTEN = re.compile(r"(?P<settings>\w+=[^,:/]*(,\w+=[^,:/]*)*)(:(?P<path>.*))?", re.DOTALL)


def one_of(*values: str | int, also: Mapping[str, str | int] | None = None) -> Setting:
    """A setting that is one of a few values; ``also`` names other spellings.

    >>> one_of("new", "old")("old")
    'old'
    """
    known = {str(value): value for value in values} | dict(also or {})

    def read(text: str) -> str | int:
        if text not in known:
            shown = ", ".join(map(str, values)) if len(values) < 10 else f"{values[0]} to {values[-1]}"
            raise ValueError(f"it is one of {shown}")
        return known[text]

    return read


def whole_number(text: str) -> int:
    """A setting that is a whole number from 0."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("it is a whole number from 0")
    return int(text)


def split_settings(place: str) -> tuple[str, str]:
    """What follows ``NAME:`` as settings and path; either may be empty.

    >>> cut("protocol=old,split=3:/data/cuhk03")
    ('protocol=old,split=3', '/data/cuhk03')
    >>> cut("/data/cuhk03")
    ('', '/data/cuhk03')
    """
    match = _WRITTEN.fullmatch(place)
    return (match["settings"], match["path"] or "") if match else ("", place)


def select_settings(name: str, known: Mapping[str, Setting], text: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that ``text`` and keywords name, read by what is ``known`` of the dataset's settings.

    Raises:
        UnknownNameError: for a setting that the dataset does not have.
        ConfigError: for a value that cannot be, or a setting that is given twice.
    """
    pairs = [tuple(part.split("=", 1)) for part in text.split(",") if part] + list(given.items())
    values: dict[str, Any] = {}
    for setting, value in pairs:
        if setting not in known:
            raise UnknownNameError(f"setting of {name}", setting, known)
        if setting in values:
            raise ConfigError(f"{setting} of {name} is set twice; say it once")
        try:
            values[setting] = known[setting](str(value).strip())
        except ValueError as error:
            raise ConfigError(f"{setting} of {name} cannot be {value!r}; {error}") from None
    return values


def variant_name(name: str, settings: Mapping[str, Any]) -> str:
    """A dataset's name with its settings, so that results of one variant are not taken for another's."""
    return f"{name}:{','.join(f'{setting}={value}' for setting, value in settings.items())}"
