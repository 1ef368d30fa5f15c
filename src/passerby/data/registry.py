"""Loading a dataset by name, by path, or both: ``market1501:/data/Market-1501.zip``.

What is not on disk but made from settings is named with those: ``pedestrians:people=60,preset=hard``. A layout that may
be read in more than one way takes settings before the path: ``cuhk03:protocol=old,split=3:/data/cuhk03``; other layouts
have none (:mod:`passerby.data.variants` says how settings are written, and why so).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.source import Source, open_source
from passerby.data.variants import Setting, select_settings, split_settings
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.registry import Registry


@dataclass(frozen=True)
class Reader:
    """How one layout is opened and read, and how it is recognized when nobody names it."""

    read: Callable[..., Dataset]
    """From the source, and from values of ``settings`` as keywords."""
    recognizes: Callable[[Sequence[str]], bool]
    """From the sorted names of a source's files."""
    open: Callable[..., Source] = open_source
    """From what follows ``NAME:``, and from settings where it is generated."""
    generated: bool = False
    """Whether it is made from settings: a place need not be named then."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """Of a layout that may be read in more than one way; all may be left out."""


DATASETS: Registry[Reader] = Registry("dataset", "passerby.data.datasets", "passerby.synthetic.register")


def load(spec: str | Path, root: str | Path | None = None, **settings: Any) -> Dataset:
    """The dataset called ``spec`` at ``root``; or ``NAME:PATH`` in one string; or a path, whose layout is recognized.

    Args:
        settings: of a generated dataset, ``load("pedestrians", people=60, size=(256, 128))``, or of a layout that has
            some, ``load("cuhk03", "/data/cuhk03", protocol="old")``.

    Raises:
        UnknownNameError: if no dataset has that name.
        DatasetLayoutError: if its files are not there or not in order.
        ConfigError: if settings are given to a dataset that has none, or cannot be.
    """
    name, place = (str(spec), str(root)) if root is not None else _parts(spec, settled=bool(settings))
    if name is None:
        _refuse(settings, place)
        return recognize(open_place(spec))
    reader = DATASETS[name]
    if reader.generated:
        return reader.read(reader.open(place, **settings))
    path, values = _settled(name, place, settings)
    return reader.read(_open(name, path), **values)


def is_named(spec: str | Path) -> bool:
    """Whether ``spec`` says a dataset's name (``NAME:PATH``), not only where files are."""
    return _parts(spec)[0] is not None


def open_place(spec: str | Path) -> Source:
    """The files at a path, or those of ``NAME:PATH``.

    Raises:
        DatasetLayoutError: if there are none.
    """
    name, place = _parts(spec)
    if name is not None:
        return DATASETS[name].open(place) if DATASETS[name].generated else _open(name, _settled(name, place, {})[0])
    try:
        return open_source(place)
    except DatasetLayoutError as error:
        near = difflib.get_close_matches(place, list(DATASETS), n=1)
        if near and not _exists(place):
            raise DatasetLayoutError(f"{error}; or the name of a dataset: did you mean {near[0]}?") from None
        raise


def absolute_spec(spec: str | Path) -> str:
    """The same place as ``spec`` whatever the current directory."""
    name, place = _parts(spec)
    if name is not None and DATASETS[name].generated:
        return str(spec)
    settings, path = ("", place) if name is None else _cut(place)
    path = str(Path(path).expanduser().resolve())
    return ":".join(part for part in (name, settings, path) if part)


def recognize(source: Source) -> Dataset:
    """Read a source by the first layout that fits its files."""
    names = source.names()
    for name in DATASETS:
        if DATASETS[name].recognizes(names):
            return DATASETS[name].read(source)
    layouts = ", ".join(name for name in DATASETS if not DATASETS[name].generated)
    raise DatasetLayoutError(
        f"{source.root} ({len(names)} files) has no layout that is known here ({layouts}); "
        "see docs/data.md for what each looks like, and name one: NAME:PATH"
    )


def _parts(spec: str | Path, *, settled: bool = False) -> tuple[str | None, str]:
    """Name and place; what exists is a path, whatever it is called, unless ``settled`` shows that a name is meant."""
    if isinstance(spec, Path):
        return None, str(spec)
    name, colon, place = spec.partition(":")
    meant = settled and name in DATASETS
    if "/" in name or (_exists(spec) and not meant):
        return None, spec
    return (name, place) if colon or settled or name in DATASETS else (None, spec)


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, RuntimeError):  # longer than a file's name may be; nobody's home
        return False


def _cut(place: str) -> tuple[str, str]:
    """Settings and path; what exists is a path."""
    return ("", place) if _exists(place) else split_settings(place)


def _settled(name: str, place: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path, and the values of all settings that were given."""
    text, path = _cut(place)
    if not DATASETS[name].settings:
        _refuse(settings or dict.fromkeys(part.partition("=")[0] for part in text.split(",") if part), name)
    return path, select_settings(name, DATASETS[name].settings, text, settings)


def _open(name: str, path: str) -> Source:
    reader = DATASETS[name]
    if path:
        return reader.open(path)
    some = f"[{','.join(f'{setting}=…' for setting in reader.settings)}:]" if reader.settings else ""
    raise DatasetLayoutError(f"{name} is read from files: say where they are, {name}:{some}PATH")


def _refuse(settings: Mapping[str, Any], what: str) -> None:
    if settings:
        having = [name for name in DATASETS if set(settings) <= DATASETS[name].settings.keys()]
        hint = f"; to read it as {' or '.join(having)}, say so: {having[0]}:PATH" if having else ""
        raise ConfigError(f"{what} is read from files and has no settings, got {', '.join(settings)}{hint}")
