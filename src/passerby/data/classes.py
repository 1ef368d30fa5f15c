"""Any images in folders, one folder per class: for training a network on things other than people, as on ImageNet.

The layout is ``ROOT/CLASS/IMAGE``, with folders of any depth below a class; classes are numbered in the order of their
names. Persons and cameras mean nothing here: a folder's name is a class whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from passerby.data.dataset import Dataset
from passerby.data.datasets.folder_names import SPLIT, kind_of
from passerby.data.datasets.layout import preview
from passerby.data.registry import open_place
from passerby.data.source import Source, is_image
from passerby.data.unread import has_instead, unread_files, warn_unread
from passerby.errors import DatasetLayoutError
from passerby.types import Sample

LAYOUT = "ROOT/CLASS/IMAGE, one folder per class"


class ClassFolder(NamedTuple):
    """The images of a folder, with a class each."""

    dataset: Dataset
    """The images, all of them in ``train``; the person ID of a sample is the number of its class."""
    names: tuple[str, ...]
    """The names of the classes, by number."""


def read_classes(place: str, known: tuple[str, ...] | None = None) -> ClassFolder:
    """Read the images of a folder, a zip or a tar of classes, without decoding any.

    Args:
        known: the classes of the training, which number those of validation images.

    Raises:
        DatasetLayoutError: if there are no classes, a single one, splits in place of classes, or one that is not
            ``known``.
    """
    source = open_place(place)
    images = [name for name in source.names() if is_image(name)]
    if not images:
        raise DatasetLayoutError(f"'{source.root}' has no images{has_instead(source)}. Fix: give {LAYOUT}")
    names = tuple(sorted({name.partition("/")[0] for name in images if "/" in name}))
    _check(source, images, names)
    if known is None:
        known = names
    elif others := [name for name in names if name not in known]:
        raise DatasetLayoutError(
            f"'{source.root}' has {len(others):,} classes that the training images lack ({preview(others)}). Fix: name "
            "the folders of both as the same classes"
        )
    number = {name: index for index, name in enumerate(known)}
    samples = tuple(Sample(name, number[name.partition("/")[0]]) for name in images)
    found = Dataset("classes", source, samples)
    warn_unread(source, unread_files(found))
    return ClassFolder(found, known)


def _splits(images: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the folders that are named like splits, if all are, or those of them that hold folders.

    A ``train`` of cars and trains is a class, one that holds folders is not.
    """
    named = [name for name in names if (kind := kind_of(name)) is not None and kind.what == SPLIT]
    deep = {name.partition("/")[0] for name in images if name.count("/") > 1}
    return named if len(named) == len(names) else [name for name in named if name in deep]


def _check(source: Source, images: list[str], names: tuple[str, ...]) -> None:
    if loose := [name for name in images if "/" not in name]:
        raise DatasetLayoutError(
            f"'{source.root}' has {len(loose):,} images in no class's folder ({preview(loose)}). Fix: arrange them as "
            f"{LAYOUT}"
        )
    if splits := _splits(images, names):
        raise DatasetLayoutError(
            f"folders of '{source.root}' are splits, not classes ({preview(splits)}). Fix: give the folder "
            f"'{splits[0]}' itself, and that of another split as --test-data"
        )
    if len(names) < 2:
        raise DatasetLayoutError(
            f"'{source.root}' has the class {names[0]!r} alone, expected at least 2. Fix: give the folder that holds "
            f"the classes, {LAYOUT}"
        )
