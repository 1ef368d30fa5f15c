"""A gallery: images that were embedded once, and the search for those nearest to a query.

    gallery = passerby.Gallery(model)
    gallery.add("people/")
    for hit in gallery.search("query.jpg", k=10):
        print(hit.rank, hit.path, hit.distance)

Order and distances are those of :func:`passerby.retrieval.ranking.top_k`, which evaluation ranks with too: what is
measured is what is served. Junk (:class:`~passerby.types.Role`) is never found, as it never counts. Where the run is
calibrated, a hit has P(same person) and a verdict, unless the gallery's own distances tell that the calibration does
not hold for its images (:mod:`passerby.gallery.verdicts.check`).

Predicted attributes (AANet's Fig 8; Tay, Roy, Yap, CVPR 2019) filter a search: images stay whose most probable value of
every group asked for is the one asked for, and embeddings rank them. Without a query they rank: all images, by the
product of the probabilities of the values asked for, as if groups were independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery, attribute_query
from passerby.data.dataset import Split
from passerby.data.images.decode import open_image
from passerby.data.images.open import QueryImage, list_images_and_splits
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import ConfigError, DatasetLayoutError, ProtocolError
from passerby.gallery.compatibility import check_same_keypoints, check_same_model, warn_unknown_keypoints
from passerby.gallery.records import Records
from passerby.gallery.store.manifest import is_gallery
from passerby.gallery.verdicts.check import DomainCheck
from passerby.gallery.verdicts.rows import Rows
from passerby.inference.attributes import log_probability, match_predictions, schema_of
from passerby.inference.embeddings_file import read_embeddings, write_embeddings
from passerby.inference.images import ImageInput, ImagesInput, collect_images, is_place, query_image
from passerby.inference.model import Model
from passerby.inference.written_files import was_written_here
from passerby.retrieval.distance.compare import PreparedGallery
from passerby.retrieval.matches import without_junk
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Hit, Role, Sample

_Prepared: TypeAlias = tuple[Tensor, PreparedGallery]
"""The rows of a gallery that are searched, and their embeddings."""
DEFAULT_K = 10
_ALIKE = 1e-3
"""The squared distance of an image to its own copy, as a share of its squared length: rounding leaves far less."""


class Gallery:
    """A set of embedded images that can be searched; empty at first.

    Images of one place are named within it. Once images of a second place are added, each name tells its place:
    ``PLACE::NAME``, or the path of a file.

    Args:
        model: the model that embeds the images; queries go through it too.
        embeddings: images that it has embedded.
        source: what their paths are relative to; needed only to show them.
        splits: the split of each of them, if known.
    """

    def __init__(
        self,
        model: Model,
        embeddings: Embeddings | None = None,
        source: Source | str | Path = "",
        *,
        splits: Sequence[str | None] | None = None,
    ) -> None:
        self.model = model
        if embeddings is None:
            embeddings = Embeddings(torch.empty(0, model.embedding_size), ())
        self._set(Records(embeddings, tuple(splits or (None,) * len(embeddings)), source))
        self._keypoints: list[KeypointOrigin | None] = []  # empty until they are needed

    _on_disk: type[Gallery]
    """The class of galleries on disk."""

    def __init_subclass__(cls, *, on_disk: bool = False) -> None:
        if on_disk:
            Gallery._on_disk = cls

    @classmethod
    def create(cls, model: Model, path: str | Path) -> Gallery:
        """Create an empty gallery on disk (:class:`~passerby.gallery.stored.StoredGallery`) in a new folder.

        Raises:
            OutputError: if the folder exists or cannot be written.
        """
        return Gallery._on_disk.create(model, path)

    @classmethod
    def open(
        cls, model: Model, path: str | Path, *, root: str | Path | None = None, split: Split | None = None
    ) -> Gallery:
        """Open a file of embeddings that :meth:`save` or ``passerby embed`` wrote; or the folder of a gallery on disk.

        Args:
            root: where the images are, if they have moved, or the file is of another origin: what it says of places
                is believed only of files that were written here, and nothing outside of ``root`` is read then.
            split: take only this split of the file; default: every row.

        Raises:
            WeightsError: if another model embedded them.
            ConfigError: if they were embedded, or are to be compared, otherwise than the model does.
            DatasetLayoutError: if the file is not one of embeddings, or holds an image twice.
        """
        if is_gallery(path):
            return Gallery._on_disk.open(model, path, root=root, split=split)
        stored = read_embeddings(path)
        origin = check_same_model(stored, model.origin())
        embeddings = stored.split(split) if split else stored.embeddings
        if len(set(embeddings.paths)) < len(embeddings):
            raise DatasetLayoutError(
                f"'{path}' holds an image in two splits, so a search would find it twice. Fix: open one of them, "
                "Gallery.open(model, path, split='gallery')"
            )
        if origin.keypoints is None and model.uses_keypoints:
            warn_unknown_keypoints(str(path))
        splits = (split,) * len(embeddings) if split else stored.splits
        gallery = cls(model, embeddings, root or origin.root, splits=splits)
        if not was_written_here(origin.root, stored.embeddings.paths):
            gallery._records = replace(gallery._records, file=str(path), confirmed=bool(root))
        gallery._keypoints = [origin.keypoints]
        return gallery

    def add(
        self,
        images: ImagesInput,
        *,
        split: Split | Literal["all"] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Embed images and add them.

        Args:
            images: a folder, an archive or ``NAME:PATH``; or images, as :meth:`~passerby.inference.model.Model.embed`
                takes them. Of a dataset its gallery is added, or everything if it has none.
            split: of a dataset, another split than that, or ``all``.
            progress: called with the number of images after each batch.

        Raises:
            DatasetLayoutError: if there are no images, or one of them is in the gallery already.
            ImageError: if an image cannot be read.
            ConfigError: if their parts would be cut by other keypoints than those of the gallery.
        """
        source, samples, splits = self._listed(images, split)
        keypoints = self.model.keypoint_origin(source)
        if len(self.embeddings):
            check_same_keypoints(self.keypoints, keypoints, self._records.place)
        else:
            self._keypoints = [keypoints]
        added = self.model.embed_samples(source, samples, progress=progress)
        self._set(self._records.joined(Records.of(added, source, splits)))

    def _listed(
        self, images: ImagesInput, split: Split | Literal["all"] | None
    ) -> tuple[Source, Sequence[Sample], tuple[str | None, ...]]:
        if isinstance(images, (str, Path)) and is_place(images):
            return list_images_and_splits(images, split)
        if split is not None:
            raise ConfigError(f"single images belong to no split: got split {split!r}, expected None")
        source, samples = collect_images(images, first=self._next_number)
        return source, samples, (None,) * len(samples)

    @property
    def _next_number(self) -> int:
        """The number of the next image without a name."""
        return len(self.embeddings)

    def _set(self, records: Records) -> None:
        self._records = records
        self._searched = without_junk(records.embeddings)
        self._domain: DomainCheck | None = None
        self._prepared: dict[tuple[tuple[int, int], ...], _Prepared] = {}

    def __len__(self) -> int:
        """Return how many images can be found."""
        return len(self._searched)

    @property
    def embeddings(self) -> Embeddings:
        """All images, junk too."""
        return self._records.embeddings

    @property
    def splits(self) -> tuple[str | None, ...]:
        """The split of each image; ``None`` where it is unknown."""
        return self._records.splits

    @property
    def source(self) -> Source:
        """The source that holds the images.

        Raises:
            DatasetLayoutError: if they have moved, or the file is of another origin and no ``root`` was named.
        """
        return self._records.source

    @property
    def keypoints(self) -> KeypointOrigin | None:
        """The keypoints that cut the images; ``None`` if none did, or an older file does not record them."""
        if not self._keypoints:
            self._keypoints.append(self.model.keypoint_origin(self.source) if self.model.uses_keypoints else None)
        return self._keypoints[0]

    def save(self, path: str | Path) -> None:
        """Write the embeddings to one Parquet file (see :mod:`passerby.inference.embeddings_file`).

        Raises:
            OutputError: if it cannot be written, or its name does not end in ``.parquet``; nothing is left behind then.
        """
        origin = replace(self.model.origin(), root=self._records.place, keypoints=self.keypoints)
        if self.embeddings.attributes is None:
            origin = replace(origin, attributes=())
        own = self._records.confirmed and not self._records.file
        write_embeddings(path, self.embeddings, origin, self.splits, own=own)

    def search(
        self,
        query: ImageInput | QueryImage | None,
        k: int | None = None,
        *,
        attributes: str | Mapping[str, str] | AttributeQuery | None = None,
    ) -> list[Hit]:
        """Return the k images nearest to ``query``, nearest first; or, without a query, those that fit attributes best.

        Args:
            query: a file, ``PLACE::NAME``, a PIL image or a uint8 array; ``None``: all images are ranked by the
                probability of ``attributes``.
            k: the number of images (``None``: ten); all where there are fewer.
            attributes: ``backpack=yes,upper_color=red``, or values by name of group. With a query only images that
                are predicted to have all of them are searched, and fewer than k may be found, or none.

        Raises:
            ProtocolError: if the gallery is empty, k is below 1, or there is neither query nor attributes.
            ImageError: if the query cannot be decoded.
            ConfigError: if the model predicts no attributes, or not those; or if the query's parts would be cut by
                other keypoints (:mod:`passerby.gallery.compatibility`).
            DatasetLayoutError: if the gallery was embedded without attributes.
        """
        if not len(self):
            raise ProtocolError("the gallery is empty. Fix: gallery.add(FOLDER), or Gallery.open(model, FILE)")
        asked = None if attributes is None else self.attribute_query(attributes)
        self._check_query(query)
        if query is not None:
            return self._nearest(query_image(query), k, asked)
        if asked is None:
            raise ProtocolError("there is nothing to search for. Fix: give an image, attributes, or both")
        return self._likeliest(asked, k)

    @staticmethod
    def _check_query(query: object) -> None:
        if isinstance(query, (Embeddings, Tensor)):
            raise ConfigError(
                f"a search takes an image: got {type(query).__name__}, expected a path, a PIL image or a uint8 array. "
                "Fix: give the image itself, which the gallery's model embeds"
            )

    def attribute_query(self, asked: str | Mapping[str, str] | AttributeQuery) -> AttributeQuery:
        """Return what is asked for as this gallery can answer it (raises as :meth:`search` does)."""
        schema = schema_of(self.model)
        self._check_attributes()
        if not isinstance(asked, AttributeQuery):
            return attribute_query(asked, schema)
        if asked.schema != schema:
            raise ConfigError(
                f"{asked} is asked for in the attributes of {asked.schema.name}, but the gallery has those of "
                f"{schema.name}. Fix: ask in words (GROUP=VALUE,…), or make the query with the model's schema"
            )
        return asked

    def matching(self, asked: AttributeQuery) -> int:
        """Return how many images are predicted to have all the attributes asked for."""
        return int(match_predictions(self._probabilities(), asked).sum())

    def image(self, hit: Hit) -> Image.Image:
        """Return the image of one hit.

        Raises:
            DatasetLayoutError: if it is no longer where it was.
        """
        return open_image(self.source, hit.path)

    def _check_attributes(self) -> None:
        """Check that the gallery has attributes."""
        self._probabilities()

    def _probabilities(self) -> Tensor:
        if self._searched.attributes is None:
            raise DatasetLayoutError(
                "the gallery was embedded without attributes. Fix: passerby embed RUN FOLDER -o FILE.parquet"
            )
        return self._searched.attributes

    def _nearest(self, query: QueryImage, k: int | None, asked: AttributeQuery | None) -> list[Hit]:
        check_same_keypoints(self.keypoints, self.model.keypoint_origin(query.source), self._records.place)
        embedded = self.model.embed_samples(query.source, [query.sample])
        k, (rows, gallery) = self._checked(k), self._prepare(asked)
        if not len(rows):
            return []
        ranking = top_k(embedded, gallery, min(k, len(rows)), normalize=self.model.protocol.normalize)
        hits = self._hits(rows[ranking.indices[0]], ranking.distances[0], asked)
        return self._judged(hits, query, _ALIKE * embedded.embedding.norm().item() ** 2)

    def _prepare(self, asked: AttributeQuery | None) -> _Prepared:
        """Return the images to search, as every search for these attributes compares them, until images are added."""
        key = () if asked is None else tuple(asked.classes.items())
        if key not in self._prepared:
            self._prepared = {each: kept for each, kept in self._prepared.items() if not each}  # one filter at a time
            self._prepared[key] = self._filtered(asked)
        return self._prepared[key]

    def _filtered(self, asked: AttributeQuery | None) -> _Prepared:
        if asked is None:
            return torch.arange(len(self)), PreparedGallery(self._searched)
        rows = match_predictions(self._probabilities(), asked).nonzero().squeeze(1)
        return rows, PreparedGallery(self._searched[rows])

    def _likeliest(self, asked: AttributeQuery, k: int | None) -> list[Hit]:
        distances, rows = (-log_probability(self._probabilities(), asked)).sort(stable=True)
        k = self._checked(k)
        return self._hits(rows[:k], distances[:k], asked)

    def _judged(self, hits: list[Hit], query: QueryImage, alike: float) -> list[Hit]:
        """Return hits with P(same person) and a verdict, where the run is calibrated for such distances.

        Args:
            alike: the distance up to which a hit may be the query's own file; its content then tells.
        """
        check = self.domain
        if check is None:
            return hits
        judged = []
        for hit in hits:
            probability, verdict = check.verdict(hit.distance)
            if hit.distance <= alike and self._is_file_of(hit, query):
                judged.append(replace(hit, verdict="same file"))
            else:
                judged.append(replace(hit, same_person=probability, verdict=verdict))
        return judged

    @property
    def domain(self) -> DomainCheck | None:
        """The check whether the calibration holds for these images; ``None`` without one."""
        calibration = self.model.search_calibration
        if self._domain is None and calibration is not None:
            self._domain = DomainCheck.of(Rows.of(self._searched), calibration)
        return self._domain

    def _is_file_of(self, hit: Hit, query: QueryImage) -> bool:
        """Return whether a hit is the query's own file; false where the images cannot be read."""
        try:
            return self.source.read(hit.path) == query.content
        except DatasetLayoutError:
            return False

    def _checked(self, k: int | None) -> int:
        if k is not None and k < 1:
            raise ProtocolError(f"k must be at least 1, got {k}. Fix: choose another k")
        return min(DEFAULT_K if k is None else k, len(self))

    def _hits(self, rows: Tensor, distances: Tensor, asked: AttributeQuery | None = None) -> list[Hit]:
        found = zip(rows.tolist(), distances.tolist(), strict=True)
        logs = None if asked is None else log_probability(self._probabilities()[rows], asked).tolist()
        return [
            self._hit(n, row, distance, None if logs is None else math.exp(logs[n - 1]))
            for n, (row, distance) in enumerate(found, start=1)
        ]

    def _hit(self, rank: int, row: int, distance: float, probability: float | None) -> Hit:
        e = self._searched
        pid, camid = (None if c is None else int(c[row]) for c in (e.pids, e.camids))
        camid = None if camid is None or camid < 0 else camid  # below 0: unknown, in files of other programs
        role = Role.PERSON if e.roles is None else Role(int(e.roles[row]))
        return Hit(rank, e.paths[row], distance, pid=pid, camid=camid, probability=probability, role=role)
