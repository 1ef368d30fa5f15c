"""Settings as a user types them: ``people=60,preset=hard,size=256x128,background=0.5``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from passerby.compat import current_difficulty
from passerby.errors import ConfigError, UnknownNameError
from passerby.synthetic.settings import DIFFICULTIES, Settings

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def settings_from(text: str = "", **options: Any) -> Settings:
    """Return the settings that ``text`` and keywords name; names of difficulties change the preset's.

    >>> settings_from("people=60,size=256x128", background=0.5).difficulty.background
    0.5

    Raises:
        UnknownNameError: for a name that is neither a setting nor a difficulty.
        ConfigError: for a value that cannot be.
    """
    named = {**_pairs(text), **{current_difficulty(name): value for name, value in options.items()}}
    chosen: dict[str, Any] = {}
    changes: dict[str, float] = {}
    for name, value in named.items():
        if name in DIFFICULTIES:
            changes[name] = _value(name, value, _number)
        elif name in _READERS:
            chosen[name] = _value(name, value, _READERS[name])
        else:
            raise UnknownNameError("setting of pedestrians", name, (*_READERS, *DIFFICULTIES))
    return Settings(**chosen, changes=changes)


def settings_text(settings: Settings) -> str:
    """Return what :func:`settings_from` reads: everything that differs from the default."""
    default = Settings()
    parts = {name: getattr(settings, name) for name in _READERS if getattr(settings, name) != getattr(default, name)}
    if "size" in parts:
        parts["size"] = f"{settings.size[0]}x{settings.size[1]}"
    return ",".join(
        f"{name}={_text(value)}" for name, value in {**parts, **dict(sorted(settings.changes.items()))}.items()
    )


def parse_size(text: str) -> tuple[int, int]:
    """Return ``256x128`` as (height, width).

    Raises:
        ConfigError: if it is not of this form.
    """
    match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text)
    if match is None:
        raise ConfigError(f"a size is HEIGHTxWIDTH, for example 256x128; got {text!r}. Fix: write it so")
    return int(match[1]), int(match[2])


def parse_difficulty(text: str) -> tuple[str, float]:
    """Return ``background=0.5`` as name and value.

    Raises:
        ConfigError: if it is not of this form.
        UnknownNameError: if there is no such difficulty.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    name = current_difficulty(name)
    if not equals:
        raise ConfigError(f"a difficulty is NAME=VALUE, for example background=0.5; got {text!r}. Fix: write it so")
    if name not in DIFFICULTIES:
        raise UnknownNameError("difficulty", name, DIFFICULTIES)
    return name, _value(name, value, _number)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(text: str) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = current_difficulty(name)
        if not equals:
            raise ConfigError(
                f"settings of pedestrians are NAME=VALUE,NAME=VALUE; got {part!r} (files on disk are opened by their "
                "path alone)"
            )
        if name in pairs:
            raise ConfigError(f"{name} is set twice in {text!r}. Fix: set it once")
        pairs[name] = value
    return pairs


def _value(name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} cannot be {value!r}; {_EXPECTED[read]}") from None


def _whole(value: Any) -> int:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return int(value)
    raise TypeError


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _size(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return parse_size(value)
    height, width = value
    return _whole(height), _whole(width)


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[str(value).lower()]


def _word(value: Any) -> str:
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "people": _whole,
    "cameras": _whole,
    "images": _whole,
    "size": _size,
    "seed": _whole,
    "preset": _word,
    "two_outfits": _switch,
    "separate_cameras": _switch,
}
_EXPECTED: dict[Callable[[Any], Any], str] = {
    _whole: "it is a whole number",
    _number: "it is a number",
    _size: "it is (height, width), or text such as 256x128",
    _switch: "it is true or false",
    _word: "it is a word",
}
