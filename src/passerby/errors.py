"""Every error passerby raises on purpose.

    PasserbyError
    ├── DatasetLayoutError   files, folders or archives that are not what a dataset needs
    ├── ImageError           one image that cannot be decoded, or must not be
    ├── UnknownNameError     a name nobody registered (says the nearest ones)
    ├── WeightsError         a checkpoint that does not fit, or is not one
    ├── ShapeError           a tensor or image of the wrong shape
    ├── ProtocolError        an evaluation that its own protocol forbids
    ├── ConfigError          a recipe or setting that cannot be
    ├── TrainingError        training that cannot go on (a NaN loss)
    └── OutputError          a result that cannot be written where it was asked for

A message says what was wrong, what was got, what was wanted, and what to do next. The command line
prints it as one line; nothing else is caught there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_MOST = 50
"""Names in a message."""


class PasserbyError(Exception):
    """Base of all errors that are a user's to mend."""


class DatasetLayoutError(PasserbyError):
    """Files, folders or archives that are not what a dataset needs."""


class ImageError(PasserbyError):
    """One image that cannot be decoded, or must not be."""


class UnknownNameError(PasserbyError):
    """A name nobody registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        self._arguments = (kind, name, names)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {_listed(names)}."
        super().__init__(f"unknown {kind} {name!r}. {hint}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        return type(self), self._arguments


def _listed(names: Sequence[str]) -> str:
    """The first of very many."""
    more = f", … ({len(names):,} in all)" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST]) or 'none'}{more}"


class WeightsError(PasserbyError):
    """A checkpoint that does not fit, or is not one."""


class ShapeError(PasserbyError):
    """A tensor or image of the wrong shape."""


class ProtocolError(PasserbyError):
    """An evaluation that its own protocol forbids."""


class ConfigError(PasserbyError):
    """A recipe or setting that cannot be."""


class TrainingError(PasserbyError):
    """Training that cannot go on."""


class OutputError(PasserbyError):
    """A result that cannot be written where it was asked for."""
