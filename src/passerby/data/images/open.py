"""Open the images of a path, labeled or not, and a query image."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias
from unicodedata import normalize

from PIL import Image

from passerby.data import registry
from passerby.data.archive import read_file
from passerby.data.dataset import SPLITS, UNLABELED, Dataset, Split
from passerby.data.datasets.layout import FileNames
from passerby.data.images.decode import decode
from passerby.data.images.rgb import upright_rgb
from passerby.data.source import Source, StoredSource, is_image
from passerby.data.unread import has_instead, unread_of, warn_unlabeled, warn_unread
from passerby.data.video.address import is_video
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

ImageLike: TypeAlias = "str | Path | Image.Image"


def list_images(place: str | Path, split: Split | Literal["all"] | None = None) -> tuple[Source, tuple[Sample, ...]]:
    """Return the source at ``place`` and the samples of its images.

    Args:
        place: a directory, an archive, ``NAME:PATH``, or the name of a generated dataset. A dataset's labels are used;
            of anything else, every image below it is taken, without labels.
        split: a split of the dataset; ``all``; or ``None`` for its gallery if it has one, and else all.

    Raises:
        DatasetLayoutError: if there are no images.
    """
    source, samples, _ = list_images_and_splits(place, split)
    return source, samples


def list_images_and_splits(
    place: str | Path,
    split: Split | Literal["all"] | None = None,
    *,
    expect_labels: bool = True,
    takes_any_name: bool = False,
) -> tuple[Source, tuple[Sample, ...], tuple[str | None, ...]]:
    """Return what :func:`list_images` does, and the split of each image; ``None`` where the place is no dataset.

    Args:
        expect_labels: whether to warn of folders that look like labels, and are not read as such.
        takes_any_name: whether to list images whose names are not UTF-8, too, unless the place is ``NAME:PATH``.
    """
    source, dataset = _opened(place, takes_any_name=takes_any_name)
    splits: tuple[str | None, ...]
    if dataset is None:
        if split not in (None, "all"):
            raise DatasetLayoutError(
                f"{source.root} is no known dataset, so it has no {split} split. Fix: name it NAME:PATH"
            )
        names = source.names()
        samples = tuple(Sample(path=name) for name in names if is_image(name))
        warn_unread(source, unread_of(source))
        if expect_labels:
            warn_unlabeled(source, len(samples), registry.explain(names))
        splits = (None,) * len(samples)
    elif split in SPLITS or (split is None and dataset.gallery):
        name = split if split in SPLITS else "gallery"
        samples = dataset.split(name)
        splits = (name,) * len(samples)
    else:
        samples = _all(dataset)
        known = {s.path: name for name in reversed(SPLITS) for s in getattr(dataset, name)}
        splits = tuple(known.get(s.path) for s in samples)
    if not samples:
        if is_video(source.place):
            raise DatasetLayoutError(
                f"'{source.place}' is a video, of which only galleries know the people. "
                "Fix: passerby ingest RUN GALLERY VIDEO"
            )
        raise DatasetLayoutError(
            f"{source.root} has no images (jpg, png, bmp or webp) below it{has_instead(source)}. "
            "Fix: give the folder of the images"
        )
    return source, samples, splits


def open_images(place: str | Path) -> Dataset:
    """Open the dataset at ``place`` or, if it is none, a gallery of every image below it, without labels.

    Raises:
        DatasetLayoutError: if there are no images, or a known layout is broken.
    """
    source, dataset = _opened(place)
    return dataset or Dataset(UNLABELED, source, gallery=list_images(place)[1])


@dataclass(frozen=True)
class QueryImage:
    """An image to search for: its bytes and its labels."""

    content: bytes
    sample: Sample
    within: Source | None = field(default=None, compare=False, repr=False)
    """The directory, archive or dataset that contains it."""

    @classmethod
    def of(cls, query: ImageLike) -> QueryImage:
        """Read a query: a file, a PIL image, or ``PLACE::NAME``, the image NAME of a directory or archive.

        An image of a dataset has its labels.

        Raises:
            DatasetLayoutError: if the image does not exist.
        """
        if isinstance(query, Image.Image):
            file = io.BytesIO()
            upright_rgb(query, name="query").save(file, "PNG")
            return cls(file.getvalue(), Sample(path="query"))
        place, inside, name = str(query).rpartition("::")
        path = Path(query).expanduser()
        if inside and place and not path.exists():
            return cls._within(place, name)
        if path.is_dir():
            raise DatasetLayoutError(
                f"'{path}' is a folder. Fix: give one image: a file, or '{path}::NAME' for one in it"
            )
        path = _spelled_on_disk(path)
        if not path.is_file():
            raise DatasetLayoutError(
                f"there is no image {path}. Fix: give a file, or ARCHIVE::NAME for one in an archive"
            )
        try:
            return cls(read_file(path), Sample(path=str(path)))
        except OSError as error:
            raise DatasetLayoutError(
                f"cannot read {path}: {error.strerror or error}. Fix: check the file and its disk"
            ) from None

    @classmethod
    def _within(cls, place: str, name: str) -> QueryImage:
        source, dataset = _opened(place)
        names = source.names()
        name = FileNames(names).find(name) or name
        if name not in names and not source.has(name):
            near = [n for n in names if n.endswith(f"/{name}")]
            hint = f"; did you mean {place}::{near[0]}?" if near else f"; it has {len(names):,} others"
            raise DatasetLayoutError(f"{place} has no image {name!r}{hint}. Fix: give one that it has")
        known = {s.path: s for s in _all(dataset)} if dataset else {}
        return cls(source.read(name), known.get(name, Sample(path=name)), source)

    @property
    def source(self) -> Source:
        """The source that contains it, which may know more of it: its keypoints, for example."""
        return self.within or Memory(self)

    @cached_property
    def image(self) -> Image.Image:
        """The decoded image, upright, RGB."""
        return decode(self.content, name=self.sample.path)

    @property
    def pid(self) -> int | None:
        """The person ID; ``None`` if it is unknown, or the image is junk or a distractor."""
        return self.sample.pid if self.sample.role is Role.PERSON else None


class Memory(Source):
    """A source of one query's bytes, so that a query is read, resized and normalized as the gallery was."""

    def __init__(self, query: QueryImage) -> None:
        super().__init__(Path(query.sample.path))
        self._query = query

    def names(self) -> tuple[str, ...]:
        return (self._query.sample.path,)

    def read(self, name: str) -> bytes:
        if name not in self.names():
            raise self.missing(name)
        return self._query.content

    def image(self, name: str) -> Image.Image:
        if name not in self.names():
            raise self.missing(name)
        return self._query.image


def _spelled_on_disk(path: Path) -> Path:
    """Return a path that exists, or the only file beside it whose name is the same text in another Unicode form."""
    if path.exists() or not path.parent.is_dir():
        return path
    same = [file for file in path.parent.iterdir() if normalize("NFC", file.name) == normalize("NFC", path.name)]
    return same[0] if len(same) == 1 else path


def _opened(place: str | Path, *, takes_any_name: bool = False) -> tuple[Source, Dataset | None]:
    """Return the files at a place, and the dataset that they are: named, recognized, or none."""
    if registry.is_named(place):
        dataset = registry.load(place)
        return dataset.source, dataset
    source = registry.open_place(place)
    if takes_any_name and isinstance(source, StoredSource):
        source.takes_any_name = True
    return source, _recognized(source)


def _recognized(source: Source) -> Dataset | None:
    """Return the dataset that a source's layout is of; a known layout that is broken is still an error."""
    names = source.names()
    if any(registry.DATASETS[name].recognizes(names) for name in registry.DATASETS):
        return registry.recognize(source)
    return None


def _all(dataset: Dataset) -> tuple[Sample, ...]:
    """Return every image of a dataset once, whichever splits it is in."""
    return tuple({s.path: s for split in SPLITS for s in getattr(dataset, split)}.values())
