"""A gallery: pictures that were embedded once, and the search for those nearest to a query.

The order and the distances are those of :func:`passerby.retrieval.ranking.top_k`, which evaluation ranks with too:
what is measured is what is served. Junk (:class:`~passerby.types.Role`) is never found, as it never counts.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from PIL import Image, ImageOps

from passerby.data import registry
from passerby.data.dataset import SPLITS, Dataset, Split
from passerby.data.decode import decode
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError, WeightsError
from passerby.evaluation.predictor import Predictor
from passerby.gallery.store import Origin, read_embeddings, refuse_other_options, write_embeddings
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Hit, Role, Sample

QueryLike: TypeAlias = "str | Path | Image.Image"
DEFAULT_K = 10


def pictures(place: str | Path, split: Split | Literal["all"] | None = None) -> tuple[Source, tuple[Sample, ...]]:
    """The pictures at ``place`` and the source that holds them.

    Args:
        place: directory, archive, ``NAME:PATH``, or the name of a generated dataset. Where it is a dataset its labels
            are used; else every image below it is taken, of nobody knows whom.
        split: one of a dataset's; ``all``; or ``None``: its gallery where it has one, else all.

    Raises:
        DatasetLayoutError: if there are none.
    """
    source, dataset = _opened(place)
    if dataset is None:
        if split not in (None, "all"):
            raise DatasetLayoutError(
                f"{source.root} is no known dataset, so it has no {split} split; name it NAME:PATH"
            )
        samples = tuple(Sample(path=name) for name in source.names() if is_image(name))
    elif split in SPLITS or (split is None and dataset.gallery):
        samples = dataset.split(split if split in SPLITS else "gallery")
    else:
        samples = _all(dataset)
    if not samples:
        raise DatasetLayoutError(f"{source.root} has no images (jpg, png, bmp or webp) below it")
    return source, samples


@dataclass(frozen=True, slots=True)
class Query:
    """A picture to look for: its bytes, and what is known of it."""

    content: bytes
    sample: Sample

    @classmethod
    def of(cls, query: QueryLike) -> Query:
        """Read a query: a file, a PIL image, or ``PLACE::NAME``, the picture NAME of a directory or archive.

        A picture of a dataset comes with its person and camera.

        Raises:
            DatasetLayoutError: if there is no such picture.
        """
        if isinstance(query, Image.Image):
            file = io.BytesIO()
            ImageOps.exif_transpose(query).convert("RGB").save(file, "PNG")
            return cls(file.getvalue(), Sample(path="query"))
        place, inside, name = str(query).rpartition("::")
        path = Path(query).expanduser()
        if inside and place and not path.exists():
            return cls._within(place, name)
        if not path.is_file():
            raise DatasetLayoutError(f"there is no picture {path}; give a file, or ARCHIVE::NAME for one in an archive")
        try:
            return cls(path.read_bytes(), Sample(path=str(path)))
        except OSError as error:
            raise DatasetLayoutError(f"cannot read {path}: {error.strerror or error}") from None

    @classmethod
    def _within(cls, place: str, name: str) -> Query:
        source, dataset = _opened(place)
        names = source.names()
        if name not in names:
            near = [n for n in names if n.endswith(f"/{name}")]
            hint = f"; did you mean {place}::{near[0]}?" if near else f"; it has {len(names):,} others"
            raise DatasetLayoutError(f"{place} has no picture {name!r}{hint}")
        known = {s.path: s for s in _all(dataset)} if dataset else {}
        return cls(source.read(name), known.get(name, Sample(path=name)))

    @property
    def image(self) -> Image.Image:
        """The picture, upright, RGB."""
        return decode(self.content, name=self.sample.path)

    @property
    def pid(self) -> int | None:
        """The person, where it is one that a gallery may hold (junk and distractors are nobody)."""
        return self.sample.pid if self.sample.role is Role.PERSON else None


class Gallery:
    """Embedded pictures that can be searched.

    Args:
        predictor: the model that embedded them; queries go through it too.
        source: what their paths are relative to; needed only to show them.
    """

    def __init__(self, predictor: Predictor, embeddings: Embeddings, source: Source | str | Path) -> None:
        self.predictor, self.embeddings = predictor, embeddings
        self._source = source
        roles = embeddings.roles
        junk = roles == int(Role.JUNK) if roles is not None else torch.zeros(0, dtype=torch.bool)
        self._searched = embeddings[~junk] if junk.any() else embeddings

    @classmethod
    def from_folder(
        cls,
        predictor: Predictor,
        folder: str | Path,
        *,
        split: Split | Literal["all"] | None = None,
        batch_size: int = 64,
        progress: Callable[[int], object] | None = None,
    ) -> Gallery:
        """Embed the pictures of a directory or archive (see :func:`pictures` for which).

        Raises:
            DatasetLayoutError: if there are none.
            ImageError: if one cannot be read.
        """
        source, samples = pictures(folder, split)
        embeddings = predictor.embed_samples(source, samples, batch_size=batch_size, progress=progress)
        return cls(predictor, embeddings, source)

    @classmethod
    def from_parquet(cls, predictor: Predictor, path: str | Path, *, root: str | Path | None = None) -> Gallery:
        """Open what :meth:`save` or ``passerby embed`` wrote.

        Args:
            root: where the pictures are now, if they have moved.

        Raises:
            WeightsError: if another model embedded them.
            ConfigError: if they were embedded, or are to be compared, otherwise than the predictor does.
            DatasetLayoutError: if the file is not one of embeddings.
        """
        stored = read_embeddings(path)
        origin, fingerprint = stored.origin, predictor.fingerprint
        if origin.fingerprint != fingerprint:
            raise WeightsError(
                f"{path} was embedded by another model ({origin.model}, fingerprint {origin.fingerprint}; this one is "
                f"{predictor.model.card.name}, {fingerprint}), so distances would mean nothing; search with the run "
                f"that embedded it, or embed again: passerby embed RUN {origin.root} -o {path} --overwrite"
            )
        refuse_other_options(path, origin, predictor.protocol)
        return cls(predictor, stored.embeddings, root or origin.root)

    def __len__(self) -> int:
        """How many pictures can be found."""
        return len(self._searched)

    @cached_property
    def source(self) -> Source:
        """Where the pictures are."""
        if isinstance(self._source, Source):
            return self._source
        try:
            return registry.open_place(self._source)
        except DatasetLayoutError as error:
            raise DatasetLayoutError(f"the gallery's pictures are not where they were embedded: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the embeddings to one Parquet file (see :mod:`passerby.gallery.store`).

        Raises:
            OutputError: if it cannot be written; nothing is left behind then.
        """
        model = self.predictor.model.card.name
        source = self._source
        place = source.place if isinstance(source, Source) else registry.from_anywhere(source)
        how = {name: getattr(self.predictor.protocol, name) for name in ("flip", "normalise")}
        origin = Origin(self.predictor.fingerprint, model, self.predictor.size, place, **how)
        write_embeddings(path, self.embeddings, origin)

    def search(self, query: QueryLike | Query, k: int | None = None) -> list[Hit]:
        """The k pictures nearest to ``query``, nearest first.

        Args:
            query: see :meth:`Query.of`.
            k: how many; ``None``: ten, or the whole gallery where that is smaller.

        Raises:
            ProtocolError: if the gallery has fewer than k.
            ImageError: if the query cannot be decoded.
        """
        picture = query if isinstance(query, Query) else Query.of(query)
        source = _Memory(picture)
        embedded = self.predictor.embed_samples(source, [picture.sample])
        k = min(DEFAULT_K, len(self)) if k is None else k
        ranking = top_k(embedded, self._searched, k, normalise=self.predictor.protocol.normalise)
        rows, distances = ranking.indices[0].tolist(), ranking.distances[0].tolist()
        return [self._hit(n, row, d) for n, (row, d) in enumerate(zip(rows, distances, strict=True), start=1)]

    def image(self, hit: Hit) -> Image.Image:
        """The picture of one hit.

        Raises:
            DatasetLayoutError: if it is no longer where it was.
        """
        return decode(self.source.read(hit.path), name=hit.path)

    def _hit(self, rank: int, row: int, distance: float) -> Hit:
        e = self._searched
        pid, camid = (None if c is None else int(c[row]) for c in (e.pids, e.camids))
        return Hit(rank=rank, path=e.paths[row], distance=distance, pid=pid, camid=camid)


class _Memory(Source):
    """One query's bytes as a source, so that a query is read, resized and normalised as the gallery was."""

    def __init__(self, query: Query) -> None:
        super().__init__(Path())
        self._query = query

    def names(self) -> tuple[str, ...]:
        return (self._query.sample.path,)

    def read(self, name: str) -> bytes:
        if name not in self.names():
            raise self.missing(name)
        return self._query.content


def _opened(place: str | Path) -> tuple[Source, Dataset | None]:
    """The files at a place, and the dataset that they are: named, recognised, or none."""
    if registry.named(place):
        dataset = registry.load(place)
        return dataset.source, dataset
    source = registry.open_place(place)
    return source, _recognised(source)


def _recognised(source: Source) -> Dataset | None:
    """The dataset that a source's layout is of; a layout that is known but not in order is still an error."""
    names = source.names()
    if any(registry.DATASETS[name].recognises(names) for name in registry.DATASETS):
        return registry.recognise(source)
    return None


def _all(dataset: Dataset) -> tuple[Sample, ...]:
    """Every picture of a dataset once, whichever splits it is in."""
    return tuple({s.path: s for split in SPLITS for s in getattr(dataset, split)}.values())
