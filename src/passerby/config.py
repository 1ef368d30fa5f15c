"""Frozen settings: read from JSON, changed by dotted keys (``--set optimizer.lr=1e-4``), validated as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from passerby.compat import current_key, current_settings, former_defaults
from passerby.errors import ConfigError, UnknownNameError

MAX_JSON = 64 << 20
"""The largest JSON file of a run in bytes: a table of per-query results of a large test set has a few million."""
_SHOWN = 200
"""The number of characters of a wrong value that a message shows."""
MAX_DEPTH = 50
"""The deepest that values in such a file are nested."""


class Frozen(BaseModel):
    """A group of settings that cannot be changed and has no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=BaseModel)
V = TypeVar("V")


def with_overrides(config: C, overrides: dict[str, Any]) -> C:
    """Return a copy with dotted keys replaced, ``{"optimizer.lr": 1e-4}``, validated as a whole.

    Raises:
        UnknownNameError: for a key that does not exist.
        ConfigError: for a value that is not valid, or a key under its former and its present name.
    """
    tree = config.model_dump()
    for key, value in given_once((current_key(key), value) for key, value in overrides.items()).items():
        *sections, leaf = key.split(".")
        node = tree
        for section in sections:
            if not isinstance(node.get(section), dict):
                raise UnknownNameError("setting", key, _dotted(config.model_dump()))
            node = node[section]
        if leaf not in node and sections != ["model", "options"]:
            raise UnknownNameError("setting", key, _dotted(config.model_dump()))
        node[leaf] = value
    return validate(type(config), tree)


def _dotted(tree: dict[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, value in tree.items():
        keys += _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [prefix + name]
    return keys


def parse_override(text: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``; a value that is not JSON is a string.

    >>> parse_override("optimizer.lr=1e-4"), parse_override("schedule.name=cosine")
    (('optimizer.lr', 0.0001), ('schedule.name', 'cosine'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(
            f"a setting is written key=value, got {text!r}. Fix: write it so, for example optimizer.lr=1e-4"
        )
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):  # no JSON, a number of too many digits, nested too deep
        return key, value


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values of several ``key=value`` by key.

    Raises:
        ConfigError: if one is not of this form, or a key is given twice.
    """
    return given_once(map(parse_override, texts))


def given_once(pairs: Iterable[tuple[str, V]]) -> dict[str, V]:
    """Return pairs of name and value by name.

    Raises:
        ConfigError: if a name is given twice, since only its last value would count.
    """
    values: dict[str, V] = {}
    for name, value in pairs:
        if name in values:
            raise ConfigError(f"{name} is set twice, to {values[name]!r} and to {value!r}. Fix: set it once")
        values[name] = value
    return values


def validate(kind: type[C], tree: dict[str, Any]) -> C:
    """Return plain values as settings of a ``kind``; the first that is not valid becomes a :class:`ConfigError`."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if not where:  # of several settings together: the message names them, and what they are
            raise ConfigError(f"settings: {_with_fix(first['msg'])}") from None
        got = repr(first["input"])
        got = got if len(got) <= _SHOWN else f"{got[:_SHOWN]}…"
        raise ConfigError(f"setting {where}: {_with_fix(first['msg'], f' (got {got})')}") from None


def _with_fix(message: str, got: str = "") -> str:
    """Return what pydantic says, with what it got; where it names no fix, with one."""
    what, _, fix = message.removeprefix("Value error, ").partition(". Fix: ")
    return f"{what}{got}. Fix: {fix or 'give another value'}"


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong with a file's values: where, what, and the value."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}, got {repr(first['input'])[:60]}"


def read_as(kind: type[C], path: Path) -> C:
    """Return the config of a ``kind`` that a run wrote."""
    return validate(kind, former_defaults(read_tree(path)))


def read_tree(path: Path) -> dict[str, Any]:
    """Return the plain values of a run's config, with today's names, whatever its kind."""
    if not path.exists():
        raise ConfigError(f"{path.parent} is not a run folder: it has no {path.name}. Fix: give the folder of a run")
    tree = read_json(path, fix="give the folder of a run")
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path} is not a config: got {type(tree).__name__}, expected named settings. Fix: give the folder of a run"
        )
    found: dict[str, Any] = current_settings(tree)
    return found


def read_json(path: Path, *, fix: str) -> Any:
    """Return what a JSON file of a run holds.

    Args:
        fix: what a user can do where there is no such file, or it is damaged.

    Raises:
        ConfigError: if it cannot be read, is not JSON, or is larger or nested deeper than any file of a run.
    """
    try:
        if (size := path.stat().st_size) > MAX_JSON:
            raise ConfigError(f"{path} has {size:,} bytes, expected at most {MAX_JSON:,}. Fix: {fix}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}). Fix: {fix}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep to be read. Fix: {fix}") from None
    except ValueError as error:  # JSON's and UTF-8's
        raise ConfigError(f"{path} is not valid JSON ({error}). Fix: {fix}") from None
    if _is_deep(value):
        raise ConfigError(f"{path} is nested more than {MAX_DEPTH} levels deep. Fix: {fix}")
    return value


def _is_deep(value: Any) -> bool:
    """Return whether a value is nested deeper than :data:`MAX_DEPTH`; level by level, so that no stack overflows."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for each in level if isinstance(each, (dict, list)) for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
