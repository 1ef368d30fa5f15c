"""Load a dataset by name, by path, or both: ``market1501:/data/Market-1501.zip``.

A generated dataset takes settings: ``pedestrians:people=60,preset=hard``. So does a layout with several variants,
before the path: ``cuhk03:protocol=old,split=3:/data/cuhk03``. Other layouts have none (:mod:`passerby.data.variants`
explains how settings are written).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.remote import RemoteSource, is_address
from passerby.data.source import Source, open_source
from passerby.data.unread import has_instead, unread_files, warn_unread
from passerby.data.variants import Setting, select_settings, split_settings
from passerby.data.video.address import is_video
from passerby.data.video.source import open_video
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.registry import Registry


def open_files(place: str | Path) -> Source:
    """Open the files at a path, or below an address such as ``s3://bucket/people``.

    Raises:
        DatasetLayoutError: if there are none.
    """
    return RemoteSource(str(place)) if is_address(place) else open_source(place)


@dataclass(frozen=True)
class Reader:
    """The functions that open and read one layout, and recognize it when it is not named."""

    read: Callable[..., Dataset]
    """The function from a source, and values of ``settings`` as keywords, to the dataset."""
    recognizes: Callable[[Sequence[str]], bool]
    """The function that tells from the sorted names of a source's files whether they have this layout."""
    open: Callable[..., Source] = open_files
    """The function from what follows ``NAME:`` (and from settings, if it is generated) to the source."""
    generated: bool = False
    """A flag of datasets that are made from settings and need no path."""
    explain: Callable[[Sequence[str]], str | None] | None = None
    """The function that tells which folders keep files from being read as this layout, and what to do, if it knows."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """The settings of a layout with several variants; all are optional."""


DATASETS: Registry[Reader] = Registry("dataset", "passerby.data.datasets", "passerby.synthetic.register")


def load(spec: str | Path, root: str | Path | None = None, **settings: Any) -> Dataset:
    """Load a dataset.

    Args:
        spec: the name of a layout, with its path in ``root`` or as ``NAME:PATH``; or a path alone, whose layout is
            recognized; or the name of a generated dataset.
        root: a directory, a zip or a tar.
        settings: the settings of a generated dataset, or of a layout with several variants.

    Raises:
        UnknownNameError: if no dataset has that name.
        DatasetLayoutError: if its files do not exist or do not have the layout.
        ConfigError: if a setting is not valid, or the dataset has none.

    Examples::

        load("Market-1501.zip")
        load("market1501:/data/Market-1501")
        load("cuhk03", "/data/cuhk03", protocol="old", split=3)
        load("pedestrians", people=60, size=(256, 128))

    >>> dataset = load("pedestrians", people=4, images=2, size=(32, 16))
    >>> dataset.summary()
    'train 24 images of 2 people, query 12 images of 2 people, gallery 12 images of 2 people'
    """
    name, place = (str(spec), str(root)) if root is not None else _parts(spec, settled=bool(settings))
    if name is None:
        _check_no_settings(settings, place)
        return recognize(open_place(spec))
    reader = DATASETS[name]
    if reader.generated:
        return reader.read(reader.open(place, **settings))
    path, values = _settled(name, place, settings)
    return _announced(reader.read(_open(name, path), **values))


def is_named(spec: str | Path) -> bool:
    """Return whether ``spec`` names a dataset (``NAME:PATH``), not only a path."""
    return _parts(spec)[0] is not None


def open_place(spec: str | Path) -> Source:
    """Open the files at a path, or those of ``NAME:PATH``; of a video the crops that galleries name.

    Raises:
        DatasetLayoutError: if there are none, or they are of a stream.
    """
    if is_video(spec) and not Path(spec).expanduser().is_dir():
        return open_video(spec)
    name, place = _parts(spec)
    if name is not None:
        return DATASETS[name].open(place) if DATASETS[name].generated else _open(name, _settled(name, place, {})[0])
    try:
        return open_files(place)
    except DatasetLayoutError as error:
        near = difflib.get_close_matches(place, list(DATASETS), n=1)
        if near and not _exists(place):
            raise DatasetLayoutError(f"{error}; or the name of a dataset: did you mean {near[0]}?") from None
        raise


def absolute_spec(spec: str | Path) -> str:
    """Return ``spec`` with an absolute path, which means the same from any directory."""
    name, place = _parts(spec)
    if name is not None and DATASETS[name].generated:
        return str(spec)
    settings, path = ("", place) if name is None else _cut(place)
    path = path if is_address(path) else str(Path(path).expanduser().resolve())
    return ":".join(part for part in (name, settings, path) if part)


def recognize(source: Source) -> Dataset:
    """Read a source by the first layout that fits its files."""
    names = source.names()
    for name in DATASETS:
        if DATASETS[name].recognizes(names):
            return _announced(DATASETS[name].read(source))
    layouts = ", ".join(name for name in DATASETS if not DATASETS[name].generated)
    raise DatasetLayoutError(
        f"{source.root} ({len(names)} files) has none of the known layouts ({layouts}){has_instead(source)}. "
        f"{explain(names) or 'Fix: see docs/data.md for what each looks like, and name one, NAME:PATH'}"
    )


def _announced(dataset: Dataset) -> Dataset:
    """Return the dataset, after one line on the log about files of its source that it does not hold."""
    warn_unread(dataset.source, unread_files(dataset))
    return dataset


def explain(names: Sequence[str]) -> str | None:
    """Return which folders of files without a known layout are no people, and what to do; ``None`` if none are told."""
    explanations = (DATASETS[name].explain for name in DATASETS)
    found = next((text for each in explanations if each and (text := each(names))), None)
    return None if found is None else f"these folders are not read as people: {found}"


def _parts(spec: str | Path, *, settled: bool = False) -> tuple[str | None, str]:
    """Return name and place; what exists is a path, unless ``settled`` (settings given) means that it is a name."""
    if isinstance(spec, Path) or is_address(spec):
        return None, str(spec)
    name, colon, place = spec.partition(":")
    meant = settled and name in DATASETS
    if "/" in name or (_exists(spec) and not meant):
        return None, spec
    return (name, place) if colon or settled or name in DATASETS else (None, spec)


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, RuntimeError):  # longer than a file's name may be; an unknown user's home
        return False


def _cut(place: str) -> tuple[str, str]:
    """Return settings and path; what exists is a path."""
    return ("", place) if _exists(place) else split_settings(place)


def _settled(name: str, place: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path, and the values of all settings that were given."""
    text, path = _cut(place)
    if not DATASETS[name].settings:
        _check_no_settings(settings or dict.fromkeys(part.partition("=")[0] for part in text.split(",") if part), name)
    return path, select_settings(name, DATASETS[name].settings, text, settings)


def _open(name: str, path: str) -> Source:
    reader = DATASETS[name]
    if path:
        return reader.open(path)
    example = f"[{','.join(f'{setting}=…' for setting in reader.settings)}:]" if reader.settings else ""
    raise DatasetLayoutError(f"{name} is read from files. Fix: say where they are, {name}:{example}PATH")


def _check_no_settings(settings: Mapping[str, Any], what: str) -> None:
    if settings:
        having = [name for name in DATASETS if set(settings) <= DATASETS[name].settings.keys()]
        hint = f"to read it as {' or '.join(having)}, say so, {having[0]}:PATH" if having else "leave them out"
        raise ConfigError(f"{what} is read from files and has no settings, got {', '.join(settings)}. Fix: {hint}")
