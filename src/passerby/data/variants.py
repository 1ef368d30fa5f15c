"""Settings of layouts with several variants, and how they are written.

``cuhk03:protocol=old,split=3:/data/cuhk03`` is a name, its settings and a path. Settings stand before the path, as in
``pedestrians:people=60``, so that a path may hold any character, and shells complete it and need no quotes (as ``?``
and ``&`` would). A path that itself begins like settings (``a=b:c``) is written ``./a=b:c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from passerby.errors import ConfigError, UnknownNameError

Setting: TypeAlias = Callable[[str], Any]
"""A function from text to value; its ``ValueError`` says what was expected."""
_WRITTEN = re.compile(r"(?P<settings>\w+=[^,:/]*(,\w+=[^,:/]*)*)(:(?P<path>.*))?", re.DOTALL)


def one_of(*values: str | int, also: Mapping[str, str | int] | None = None) -> Setting:
    """Make a setting that is one of a few values; ``also`` maps other spellings to them.

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
    """Read a setting that is a whole number from 0."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("it is a whole number from 0")
    return int(text)


def split_settings(place: str) -> tuple[str, str]:
    """Split what follows ``NAME:`` into settings and path; either may be empty.

    >>> split_settings("protocol=old,split=3:/data/cuhk03")
    ('protocol=old,split=3', '/data/cuhk03')
    >>> split_settings("/data/cuhk03")
    ('', '/data/cuhk03')
    """
    match = _WRITTEN.fullmatch(place)
    return (match["settings"], match["path"] or "") if match else ("", place)


def select_settings(name: str, known: Mapping[str, Setting], text: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the settings in ``text`` and keywords.

    Args:
        name: the dataset's name, for errors.
        known: the dataset's settings.
        text: ``SETTING=VALUE,…``.
        given: further settings as keywords.

    Raises:
        UnknownNameError: for a setting that the dataset does not have.
        ConfigError: for a value that is not valid, or a setting that is given twice.
    """
    pairs = [tuple(part.split("=", 1)) for part in text.split(",") if part] + list(given.items())
    values: dict[str, Any] = {}
    for setting, value in pairs:
        if setting not in known:
            raise UnknownNameError(f"setting of {name}", setting, known)
        if setting in values:
            raise ConfigError(f"{setting} of {name} is set twice. Fix: set it once")
        try:
            values[setting] = known[setting](str(value).strip())
        except ValueError as error:
            raise ConfigError(f"{setting} of {name} cannot be {value!r}; {error}. Fix: give such a value") from None
    return values


def variant_name(name: str, settings: Mapping[str, Any]) -> str:
    """Return a dataset's name with its settings, so that results of variants are told apart."""
    return f"{name}:{','.join(f'{setting}={value}' for setting, value in settings.items())}"
