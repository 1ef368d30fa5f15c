"""Settings as one types them: ``people=60,preset=hard,size=256x128,background=0.5``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from passerby.errors import ConfigError, UnknownNameError
from passerby.synthetic.settings import Knobs, Settings

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
KNOBS = tuple(field.name for field in fields(Knobs))


def settings_from(text: str = "", **options: Any) -> Settings:
    """The settings that ``text`` and keywords name; names of knobs change the preset's.

    >>> settings_from("people=60,size=256x128", background=0.5).knobs.background
    0.5

    Raises:
        UnknownNameError: for a name that is neither a setting nor a knob.
        ConfigError: for a value that cannot be.
    """
    named = {**_pairs(text), **options}
    chosen: dict[str, Any] = {}
    changes: dict[str, float] = {}
    for name, value in named.items():
        if name in KNOBS:
            changes[name] = _value(name, value, _number)
        elif name in _READERS:
            chosen[name] = _value(name, value, _READERS[name])
        else:
            raise UnknownNameError("setting of pedestrians", name, (*_READERS, *KNOBS))
    return Settings(**chosen, changes=changes)


def settings_text(settings: Settings) -> str:
    """What :func:`settings_from` reads: whatever differs from the default."""
    default = Settings()
    parts = {name: getattr(settings, name) for name in _READERS if getattr(settings, name) != getattr(default, name)}
    if "size" in parts:
        parts["size"] = f"{settings.size[0]}x{settings.size[1]}"
    return ",".join(
        f"{name}={_written(value)}" for name, value in {**parts, **dict(sorted(settings.changes.items()))}.items()
    )


def parse_size(text: str) -> tuple[int, int]:
    """``256x128`` as (height, width).

    Raises:
        ConfigError: if it is not written so.
    """
    match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text)
    if match is None:
        raise ConfigError(f"a size is written HEIGHTxWIDTH, for example 256x128; got {text!r}")
    return int(match[1]), int(match[2])


def parse_knob(text: str) -> tuple[str, float]:
    """``background=0.5`` as name and value.

    Raises:
        ConfigError: if it is not written so.
        UnknownNameError: if there is no such knob.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigError(f"a knob is written NAME=VALUE, for example background=0.5; got {text!r}")
    if name not in KNOBS:
        raise UnknownNameError("knob", name, KNOBS)
    return name, _value(name, value, _number)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(text: str) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ConfigError(
                f"settings of pedestrians are written NAME=VALUE,NAME=VALUE; got {part!r} (files on disk are opened by "
                "their path alone)"
            )
        if name in pairs:
            raise ConfigError(f"{name} is set twice in {text!r}")
        pairs[name] = value
    return pairs


def _value(name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} cannot be {value!r}; {_WANTED[read]}") from None


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
_WANTED: dict[Callable[[Any], Any], str] = {
    _whole: "it is a whole number",
    _number: "it is a number",
    _size: "it is (height, width), written 256x128",
    _switch: "it is true or false",
    _word: "it is a word",
}
