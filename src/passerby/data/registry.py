"""Loading a dataset by name, by path, or both: ``market1501:/data/Market-1501.zip``.

What is not on disk but made from settings is named with those: ``pedestrians:people=60,preset=hard``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.source import Source, open_source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.registry import Registry


@dataclass(frozen=True)
class Reader:
    """How one layout is opened and read, and how it is recognised when nobody names it."""

    read: Callable[[Source], Dataset]
    recognises: Callable[[Sequence[str]], bool]
    """From the sorted names of a source's files."""
    open: Callable[..., Source] = open_source
    """From what follows ``NAME:``, and from settings where it is generated."""
    generated: bool = False
    """Whether it is made from settings: a place need not be named then."""


DATASETS: Registry[Reader] = Registry("dataset", "passerby.data.datasets")


def load(spec: str | Path, root: str | Path | None = None, **settings: Any) -> Dataset:
    """The dataset called ``spec`` at ``root``; or ``NAME:PATH`` in one string; or a path, whose layout is recognised.

    Args:
        settings: of a generated dataset only: ``load("pedestrians", people=60, size=(256, 128))``.

    Raises:
        UnknownNameError: if no dataset has that name.
        DatasetLayoutError: if its files are not there or not in order.
        ConfigError: if settings are given to a dataset that has none, or cannot be.
    """
    name, place = (str(spec), str(root)) if root is not None else _parts(spec, settled=bool(settings))
    if name is None:
        return recognise(open_place(place))
    return DATASETS[name].read(_open(name, place, settings))


def named(spec: str | Path) -> bool:
    """Whether ``spec`` says a dataset's name (``NAME:PATH``), not only where files are."""
    return _parts(spec)[0] is not None


def open_place(spec: str | Path) -> Source:
    """The files at a path, or those of ``NAME:PATH``.

    Raises:
        DatasetLayoutError: if there are none.
    """
    name, place = _parts(spec)
    if name is not None:
        return _open(name, place, {})
    try:
        return open_source(place)
    except DatasetLayoutError as error:
        near = difflib.get_close_matches(place, list(DATASETS), n=1)
        if near and not _exists(place):
            raise DatasetLayoutError(f"{error}; or the name of a dataset: did you mean {near[0]}?") from None
        raise


def recognise(source: Source) -> Dataset:
    """Read a source by the first layout that fits its files."""
    names = source.names()
    for name in DATASETS:
        if DATASETS[name].recognises(names):
            return DATASETS[name].read(source)
    raise DatasetLayoutError(
        f"{source.root} ({len(names)} files) has no layout that is known here ({', '.join(DATASETS)}); "
        "see docs/data.md for what each looks like, and name one: NAME:PATH"
    )


def _parts(spec: str | Path, *, settled: bool = False) -> tuple[str | None, str]:
    """Name and place; what exists is a path, whatever it is called, unless ``settled`` shows that a name is meant."""
    if isinstance(spec, Path) or (not settled and _exists(spec)):
        return None, str(spec)
    name, colon, place = spec.partition(":")
    if colon or settled or spec in DATASETS:
        return name, place
    return None, spec


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, RuntimeError):  # longer than a file's name may be; nobody's home
        return False


def _open(name: str, place: str, settings: dict[str, Any]) -> Source:
    reader = DATASETS[name]
    if reader.generated:
        return reader.open(place, **settings)
    if settings:
        raise ConfigError(f"{name} is read from files and has no settings, got {', '.join(settings)}")
    if not place:
        raise DatasetLayoutError(f"{name} is read from files: say where they are, {name}:PATH")
    return reader.open(place)
