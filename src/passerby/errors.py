"""The errors that passerby raises on purpose, as one tree.

    PasserbyError
    ├── DatasetLayoutError   files, folders or archives that do not have a dataset's layout
    ├── ImageError           an image that cannot be decoded, or is too large to be
    ├── UnknownNameError     a name that is not registered (lists the nearest ones)
    ├── WeightsError         a file that is no checkpoint, or does not fit the model
    ├── ShapeError           a tensor or image of the wrong shape
    ├── ProtocolError        an evaluation that its protocol does not allow
    ├── ConfigError          a recipe or setting that is not valid
    ├── TrainingError        training that cannot continue (a NaN loss)
    └── OutputError          a result that cannot be written

A message says what is wrong, what was got and expected, and how to fix it. The command line prints it as one line and
catches no other errors.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_MOST = 50
"""The number of names that a message lists."""
_OF_PLUGINS = ("model", "loss", "recipe")
"""The kinds of names that plugins often define."""


_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""The control characters but tab and newline, separators of lines, changes of direction, halves of pairs."""


def escape_controls(text: str, *, one_line: bool = False) -> str:
    """Return a text whose control characters are escapes, so that a name from elsewhere cannot act on a terminal.

    Args:
        text: the text.
        one_line: whether newlines and tabs are escaped, too.
    """
    escaped = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)
    return escaped.replace("\n", r"\n").replace("\t", r"\t") if one_line else escaped


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its name if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def without_fix(error: Exception | str) -> str:
    """Return an error's message up to its fix, for a message that gives its own.

    >>> without_fix(ValueError("pid 'x' is no number. Fix: number the people"))
    "pid 'x' is no number"
    """
    return str(error).partition(" Fix: ")[0].rstrip(".")


def is_utf8(text: str) -> bool:
    """Return whether a text can be stored: a file's name that is not UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class PasserbyError(Exception):
    """The base of all errors that a user can fix."""


class DatasetLayoutError(PasserbyError):
    """The error of files, folders or archives that do not have a dataset's layout."""


class ImageError(PasserbyError):
    """The error of an image that cannot be decoded, or is too large to be."""


class UnknownNameError(PasserbyError):
    """The error of a name that is not registered; its message suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        self._arguments = (kind, name, names)
        if near:
            hint = f"Did you mean {' or '.join(near)}? Fix: write it so"
        else:
            hint = f"Known: {_listed(names)}. Fix: {'choose one of these' if names else 'leave it out'}"
            hint += ", or name --plugin FILE.py if a plugin defines it" if kind in _OF_PLUGINS else ""
        super().__init__(f"unknown {kind} {name!r}. {hint}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        return type(self), self._arguments


def _listed(names: Sequence[str]) -> str:
    """Return the names, or the first ones of very many."""
    more = f", … ({len(names):,} in all)" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST]) or 'none'}{more}"


class WeightsError(PasserbyError):
    """The error of a file that is no checkpoint, or does not fit the model."""


class ShapeError(PasserbyError):
    """The error of a tensor or image of the wrong shape."""


class ProtocolError(PasserbyError):
    """The error of an evaluation that its protocol does not allow."""


class ConfigError(PasserbyError):
    """The error of a recipe or setting that is not valid."""


class TrainingError(PasserbyError):
    """The error of training that cannot continue."""


class OutputError(PasserbyError):
    """The error of a result that cannot be written."""
