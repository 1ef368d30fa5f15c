"""Loading a dataset by name, by path, or both: ``market1501:/data/Market-1501.zip``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from passerby.data.dataset import Dataset
from passerby.data.source import Source, open_source
from passerby.errors import DatasetLayoutError
from passerby.registry import Registry


@dataclass(frozen=True)
class Reader:
    """How one layout is read, and how it is recognised when nobody names it."""

    read: Callable[[Source], Dataset]
    recognises: Callable[[Sequence[str]], bool]
    """From the sorted names of a source's files."""


DATASETS: Registry[Reader] = Registry("dataset", "passerby.data.datasets")


def load(spec: str, root: str | Path | None = None) -> Dataset:
    """The dataset called ``spec`` at ``root``; or ``NAME:PATH`` in one string; or a path, whose layout is recognised.

    Raises:
        UnknownNameError: if no dataset has that name.
        DatasetLayoutError: if its files are not there or not in order.
    """
    if root is not None:
        return DATASETS[spec].read(open_source(root))
    name, colon, path = spec.partition(":")
    if colon and not Path(spec).exists():
        return DATASETS[name].read(open_source(path))
    return recognise(open_source(spec))


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
