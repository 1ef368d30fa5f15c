"""A gallery on disk: images are added, searched with conditions, and deleted; what a call has returned is on the disk.

gallery = passerby.Gallery.create(model, "people.gallery")
gallery.add("crops/", tags=["entrance"], taken="2024-05-01T12:30")
hits = gallery.search("query.jpg", k=10, where=Where(not_cameras=[3]))
gallery.delete([hit.id for hit in hits])
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery
from passerby.data.dataset import Split
from passerby.data.images.open import QueryImage
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.names.pattern import NamePattern
from passerby.errors import ConfigError, DatasetLayoutError, ProtocolError
from passerby.gallery.asking.ask import Ask
from passerby.gallery.asking.nearest import nearest
from passerby.gallery.asking.queries import queries_of, stripe_shape
from passerby.gallery.audit import Act
from passerby.gallery.compatibility import check_same_keypoints, check_same_model_of_store
from passerby.gallery.feedback.groups import Grouping
from passerby.gallery.feedback.notes import Judgement, Side
from passerby.gallery.feedback.pairs import Feedback
from passerby.gallery.gallery import DEFAULT_K, Gallery
from passerby.gallery.ingest.contents import content_digest
from passerby.gallery.ingest.ingest import Ingest
from passerby.gallery.ingest.inputs import Input, open_input
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import given_images
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.store import Store
from passerby.gallery.store.results import Deleted, Found
from passerby.gallery.store.search import Selection
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Where, moment
from passerby.gallery.stored_hits import StoredHit, stored_hit
from passerby.gallery.stored_images import StoredImages, images_of, own, reference
from passerby.gallery.verdicts.check import DomainCheck
from passerby.gallery.verdicts.own import Answer, FromPairs
from passerby.gallery.verdicts.stored import StoredVerdicts
from passerby.inference.attributes import log_probability
from passerby.inference.embeddings_file import write_embeddings
from passerby.inference.images import ImageInput, ImagesInput, query_image
from passerby.inference.model import Model
from passerby.inference.written_files import remember_written, was_written_here
from passerby.metrics.calibration import Calibration
from passerby.metrics.probability import Method
from passerby.types import Embeddings, Hit


class StoredGallery(Gallery, on_disk=True):
    """A gallery on disk. Several processes may read it while one writes; each call sees what others have written.

    Args:
        model: the model that embeds the images; queries go through it too.
        store: the folder's rows.
        root: where the images are, if they have moved, or the gallery is of another origin.

    Raises:
        WeightsError: if another model made it.
        ConfigError: if its images were embedded, or are to be compared, otherwise than the model does.
    """

    def __init__(self, model: Model, store: Store, root: str | Path | None = None) -> None:
        check_same_model_of_store(str(store.path), store.manifest.origin, model.origin())
        self.model, self.store, self._root = model, store, root
        self._verdicts = StoredVerdicts(store)

    @classmethod
    def create(cls, model: Model, path: str | Path, *, stripes: bool = False) -> StoredGallery:
        """Create an empty gallery in a new folder.

        Args:
            stripes: store the stripe vectors of images, too, for the distances ``local`` and ``global_local``.

        Raises:
            OutputError: if the folder exists or cannot be written.
            ConfigError: if the model has no stripe vectors.
        """
        store = Store.create(
            path, model.origin(), model.embedding_size, stripes=stripe_shape(model) if stripes else None
        )
        remember_written(*own(store))
        return cls(model, store)

    @classmethod
    def open(
        cls, model: Model, path: str | Path, *, root: str | Path | None = None, split: Split | None = None
    ) -> StoredGallery:
        """Open a gallery.

        Raises:
            DatasetLayoutError: if there is none, or its manifest is damaged.
            ConfigError: if a split is asked for.
        """
        if split is not None:
            raise ConfigError(f"a gallery on disk is opened as a whole: got split {split!r}, expected None")
        return cls(model, Store(path), root)

    def __len__(self) -> int:
        """Return how many images can be found."""
        self.store.refresh()
        return len(self.store.select(Where()))

    def add(  # type: ignore[override]  # a gallery in memory has no result of an add
        self,
        images: ImagesInput,
        *,
        split: Split | Literal["all"] | None = None,
        camera: int | None = None,
        taken: str | int | None = None,
        tags: Collection[str] = (),
        collection: str | None = None,
        names: str | None = None,
        thumbnails: bool = False,
        blur: bool | None = None,
        strict: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> AddedImages:
        """Embed images and add them, in chunks: a killed process loses one chunk, and another call goes on from there.

        Images that the gallery holds already, by the content of their file, are left out and counted. Those that
        cannot be read are left out and listed.

        Args:
            images: as for a gallery in memory.
            split: of a dataset, another split than its gallery, or ``all``.
            camera: the camera ID of all the images, where their place does not tell.
            taken: when they were taken: a date or a date with a time, or milliseconds of Unix time.
            tags: words to search by.
            collection: the name of the part of the gallery that they belong to.
            names: a pattern of their names, such as ``{camera}/{date}_{time}``
                (:class:`~passerby.data.names.pattern.NamePattern`).
            thumbnails: whether to keep a small JPEG of each.
            blur: whether to blur heads in it; ``None``: unless the images are synthetic.
            strict: whether the first image that cannot be read is an error.
            progress: called with the number of images after each batch.

        Raises:
            DatasetLayoutError: if there are no images.
            ImageError: if an image cannot be read and ``strict`` is set.
            ConfigError: if their parts would be cut by other keypoints than those of the gallery, a tag is empty or
                has several lines, or a number has more than 64 bits.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        options = IngestOptions(
            split=split,
            camera=camera,
            taken=moment(taken) if isinstance(taken, str) else taken,
            tags=tuple(tags),
            collection=collection,
            names=None if names is None else NamePattern(names),
            thumbnails=thumbnails,
            blur=blur,
            strict=strict,
        )
        if isinstance(images, (str, Path)):
            return self.ingest([open_input(str(images), options)], options, progress=progress)
        return self.ingest([given_images(images, options, first=self._next_number)], options, progress=progress)

    def ingest(
        self,
        inputs: Iterable[Input],
        options: IngestOptions,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> AddedImages:
        """Embed the images of inputs (:func:`~passerby.gallery.ingest.inputs.open_input`) and add them, as :meth:`add`.

        Raises:
            as :meth:`add`.
        """
        return Ingest(self.model, self.store, options, progress=progress).add_all(inputs)

    def search(
        self,
        query: ImageInput | QueryImage | Sequence[ImageInput | QueryImage] | None,
        k: int | None = None,
        *,
        attributes: str | Mapping[str, str] | AttributeQuery | None = None,
        where: Where | None = None,
        how: Ask | None = None,
    ) -> list[Hit]:
        """Return the k images nearest to ``query``, nearest first; or, without a query, those that fit attributes best.

        Args:
            query: as for a gallery in memory; or several images of one person.
            k: the number of images (``None``: ten); all where fewer satisfy the conditions, or none.
            attributes: what images must be predicted to have; or, without a query, what they are ranked by.
            where: further conditions.
            how: how several images are one query, which rows are queries or have been judged, what ranks the nearest
                again, and of which rows the best one is shown.

        Raises:
            as :meth:`Gallery.search`.
        """
        where, how = where or Where(), how or Ask()
        if not len(self):
            raise self._empty()
        if k is not None and k < 1:
            raise ProtocolError(f"k must be at least 1, got {k}. Fix: choose another k")
        asked = where.attributes if attributes is None else self.attribute_query(attributes)
        images = self._query_images(query)
        where = replace(where, attributes=asked)
        hits = self._hits_of(images, k or DEFAULT_K, where, how)
        self.store.warn_of_missing()
        words = "; ".join(filter(None, [_asked_with(len(images), how), where.in_words()]))
        self.store.log.note(Act("search", words), len(hits), self.store.version)
        return hits

    @property
    def missing(self) -> int:
        """The number of rows that no search finds, because their shards are damaged or gone."""
        return self.store.missing

    def _empty(self) -> ProtocolError:
        """Return the error of a search in a gallery without images that can be found."""
        if self.missing:
            return ProtocolError(
                f"the gallery is empty: its {self.missing:,} rows are in shards that are damaged or gone. Fix: restore "
                f"the folder '{self.store.path}' from a copy, or add their images again"
            )
        return ProtocolError("the gallery is empty. Fix: gallery.add(FOLDER), or passerby gallery add")

    def _hits_of(self, images: Sequence[QueryImage], k: int, where: Where, how: Ask) -> list[Hit]:
        if images or how.like_ids:
            return self._close(images, k, where, how)
        if (asked := where.attributes) is None:
            raise ProtocolError("there is nothing to search for. Fix: give an image, attributes, or both")
        found = self.store.undamaged(lambda: self._fitting(asked, k, replace(where, attributes=None)))
        return self._stored_hits(found, asked)

    def matching(self, asked: AttributeQuery | None, where: Where | None = None) -> int:
        """Return how many images are predicted to have attributes, and satisfy conditions."""
        conditions = replace(where or Where(), attributes=asked)
        return self.store.undamaged(lambda: len(self.store.select(conditions)))

    @property
    def feedback(self) -> Feedback:
        """The confirmed and rejected pairs."""
        return Feedback(self.store)

    @property
    def groups(self) -> Grouping:
        """The groups of rows of one person, proposed and accepted."""
        return Grouping(self.store)

    def confirm(self, query: ImageInput | QueryImage | int, row: int) -> Judgement:
        """Record that a query, an image or a row by its ID, shows the person of a row (see :class:`Feedback`).

        Raises:
            ConfigError: if a row does not exist, or both are the same.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        return self.feedback.answer(_side(query), row, same=True)

    def reject(self, query: ImageInput | QueryImage | int, row: int) -> Judgement:
        """Record that a query shows another person than a row does (as :meth:`confirm`)."""
        return self.feedback.answer(_side(query), row, same=False)

    def of_unknown_camera(self, asked: AttributeQuery | None, where: Where) -> int:
        """Return how many of the images that are predicted to have attributes and satisfy conditions have no camera."""
        conditions = replace(where, attributes=asked)
        return self.store.undamaged(lambda: _without_camera(self.store.select(conditions)))

    def delete(self, ids: Iterable[int], *, scan: bool = True, conditions: str = "") -> Deleted:
        """Delete rows for good (:meth:`passerby.gallery.store.store.Store.delete`).

        Args:
            conditions: how they were chosen, in words, for the gallery's log.
        """
        return self.store.delete(ids, scan=scan, act=Act("delete", conditions))

    def thumbnail(self, row: int) -> bytes | None:
        """Return the small JPEG of an image by its row's ID; ``None`` if none was made.

        Raises:
            DatasetLayoutError: if there is no such row.
        """
        self.store.refresh()
        return self.store.undamaged(lambda: _thumbnail(self.store.shards, row))

    def like(self, image: ImageInput | QueryImage, similarity: float) -> list[int]:
        """Return the IDs of all images, junk too, whose cosine with an image is at least ``similarity``.

        The gallery's log records it as a search.
        """
        query = query_image(image)
        embedded = self.model.embed_samples(query.source, [query.sample]).embedding[0]
        self.store.refresh()
        found = self.store.undamaged(lambda: _alike(self.store.shards, embedded, similarity))
        act = Act("search", f"like an image, cosine at least {similarity:g}")
        self.store.log.note(act, len(found), self.store.version)
        self.store.warn_of_missing()
        return found

    @property
    def source(self) -> StoredImages:
        """The source of the images, by :attr:`StoredHit.path`.

        Raises:
            DatasetLayoutError: if the gallery is of another origin and no ``root`` was named.
        """
        return images_of(self.store, self._root)

    @property
    def keypoints(self) -> KeypointOrigin | None:
        """The keypoints that cut the images; ``None`` if none did."""
        return self.store.manifest.origin.keypoints

    @property
    def embeddings(self) -> Embeddings:
        """All images, junk too; read into memory."""
        self.store.refresh()
        shards = self.store.shards
        whole = pa.concat_tables([_labels(shard) for shard in shards]) if shards else None
        if whole is None:
            return Embeddings(torch.empty(0, self.model.embedding_size), ())
        attributes = [shard.part("attributes") for shard in shards] if self.store.manifest.origin.attributes else None
        known = {field: _known(whole[name]) for name, field in _FIELDS.items()}
        return Embeddings(
            torch.cat([shard.embeddings(np.arange(len(shard))) for shard in shards]),
            tuple(map(reference, whole["place"].to_pylist(), whole["path"].to_pylist())),
            roles=torch.from_numpy(whole["role"].to_numpy().astype(np.int64)),
            attributes=None if attributes is None else torch.cat(attributes),
            **known,
        )

    @property
    def splits(self) -> tuple[str | None, ...]:
        """The split of each image; ``None`` where it is unknown."""
        return tuple(split for shard in self.store.shards for split in shard.column("split").to_pylist())

    def save(self, path: str | Path) -> None:
        """Write all rows to one Parquet file, as a gallery in memory does."""
        confirmed, embeddings = was_written_here(*own(self.store)), self.embeddings
        write_embeddings(path, embeddings, self.store.manifest.origin, self.splits, own=confirmed)
        self.store.log.note(Act("export", "all rows, as a file of embeddings"), len(embeddings), self.store.version)

    @property
    def _next_number(self) -> int:
        return self.store.manifest.next_id

    def _check_attributes(self) -> None:
        if not self.store.manifest.origin.attributes:
            raise DatasetLayoutError("the gallery was made without attributes. Fix: create it with this run")

    def with_feedback(self, query: ImageInput | QueryImage | Sequence[ImageInput | QueryImage] | None, how: Ask) -> Ask:
        """Return a way to ask with the rows that were confirmed or rejected to show the person of a query.

        Rows that ``how`` names itself stay what it says.
        """
        contents = [content_digest(each.source, each.sample.path).hex() for each in self._query_images(query)]
        near, far = self.feedback.about(contents, how.like_ids)
        near, far = ([row for row in rows if row not in how.positives + how.negatives] for rows in (near, far))
        return replace(how, positives=(*how.positives, *near), negatives=(*how.negatives, *far))

    def _query_images(
        self, query: ImageInput | QueryImage | Sequence[ImageInput | QueryImage] | None
    ) -> list[QueryImage]:
        """Return the images of a query."""
        several: Sequence[Any] = query if isinstance(query, (list, tuple)) else [] if query is None else [query]
        for each in several:
            self._check_query(each)
        return [query_image(each) for each in several]

    def _close(self, images: Sequence[QueryImage], k: int, where: Where, how: Ask) -> list[Hit]:
        for each in images:
            check_same_keypoints(self.keypoints, self.model.keypoint_origin(each.source), str(self.store.path))
        query = queries_of(self.model, self.store, images, how)
        where = replace(where, not_ids={*where.not_ids, *how.like_ids, *how.negatives})
        best = nearest(self.store, query, k, where, how)
        hits: list[Hit] = [
            stored_hit(rank, each.found, where.attributes, each.others) for rank, each in enumerate(best, start=1)
        ]
        return self._with_verdicts(hits, images, of_pairs=how.is_of_pairs(len(images) + len(how.like_ids)))

    def _is_file_of(self, hit: Hit, query: QueryImage) -> bool:
        return isinstance(hit, StoredHit) and hit.content == hashlib.sha256(query.content).hexdigest()

    def _with_verdicts(self, hits: list[Hit], images: Sequence[QueryImage], *, of_pairs: bool) -> list[Hit]:
        """Return hits with what the calibration says of distances of pairs; of other distances it says nothing."""
        check = self.domain
        if check is None:
            return hits
        judged = []
        for hit in hits:
            probability, verdict = check.verdict(hit.distance) if of_pairs else (None, None)
            if any(self._is_file_of(hit, each) for each in images):
                probability, verdict = None, "same file"
            judged.append(replace(hit, same_person=probability, verdict=verdict))
        return judged

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the gallery by its own pairs; ``None`` if it has none (raises ConfigError for damage)."""
        return self._verdicts.calibration

    def calibrate(
        self, answers: Iterable[Answer] | None = None, *, method: Method = "logistic", seed: int = 0
    ) -> FromPairs:
        """Calibrate the gallery by its own pairs (:meth:`passerby.gallery.verdicts.stored.StoredVerdicts.calibrate`).

        Args:
            answers: the IDs of two rows each, and whether they show the same person; by default the feedback.
        """
        given = self.feedback.pairs() if answers is None else answers
        return self._verdicts.calibrate(given, method=method, seed=seed)

    @property
    def domain(self) -> DomainCheck | None:
        """The check whether the calibration holds for these images, made anew when images or the calibration change."""
        return self._verdicts.check(self.model.search_calibration)

    def _fitting(self, asked: AttributeQuery, k: int, where: Where) -> list[Found]:
        found, selection = [], self.store.select(where)
        for shard, mask in zip(selection.shards, selection.masks, strict=True):
            rows = np.flatnonzero(mask)
            distances = -log_probability(shard.part("attributes")[torch.from_numpy(rows)], asked)
            found += [Found(shard, int(row), d) for row, d in zip(rows, distances.tolist(), strict=True)]
        return sorted(found, key=lambda each: each.distance)[:k]

    def _stored_hits(self, found: Sequence[Found], asked: AttributeQuery | None) -> list[Hit]:
        return [stored_hit(rank, each, asked) for rank, each in enumerate(found, start=1)]


_RUN = 4096
_FIELDS = {"pid": "pids", "camid": "camids", "time": "times"}


def _asked_with(images: int, how: Ask) -> str:
    """Return what a query consists of, in words."""
    parts = [(images, "image"), (len(how.like_ids), "row"), (len(how.positives), "confirmed row")]
    parts += [(len(how.negatives), "rejected row")]
    return ", ".join(f"{count:,} {word}{'s' if count > 1 else ''}" for count, word in parts if count) or "no image"


def _labels(shard: Shard) -> pa.Table:
    names = [*_FIELDS, "role", "place", "path"]
    columns = {name: shard.column(name) for name in names}
    return pa.table({**columns, "place": columns["place"].cast(pa.string())})


def _known(column: pa.ChunkedArray) -> Tensor | None:
    """Return a column of numbers; ``None`` where any is unknown."""
    return None if column.null_count else torch.from_numpy(column.to_numpy().copy())


def _side(query: ImageInput | QueryImage | int) -> Side:
    """Return what feedback names an image by."""
    if isinstance(query, int):
        return query
    image = query_image(query)
    return content_digest(image.source, image.sample.path).hex()


def _without_camera(selection: Selection) -> int:
    """Return how many of the selected rows have no camera."""
    unknown = (shard.column("camid").is_null().to_numpy(zero_copy_only=False) for shard in selection.shards)
    return sum(int((mask & each).sum()) for mask, each in zip(selection.masks, unknown, strict=True))


def _thumbnail(shards: Iterable[Shard], row: int) -> bytes | None:
    for shard in shards:
        place = int(np.searchsorted(shard.ids, row))
        if place < len(shard) and shard.ids[place] == row:
            return shard.thumbnail(place)
    raise DatasetLayoutError(f"the gallery has no row {row}. Fix: give the ID of a hit")


def _alike(shards: Iterable[Shard], query: Tensor, similarity: float) -> list[int]:
    found: list[int] = []
    for shard in shards:
        for first in range(0, len(shard), _RUN):
            rows = np.arange(first, min(first + _RUN, len(shard)))
            cosines = torch.cosine_similarity(shard.embeddings(rows).double(), query.double()[None])
            found += shard.ids[rows[(cosines >= similarity).numpy()]].tolist()
    return found
