"""A gallery: pictures that were embedded once, and the search for those nearest to a query.

The order and the distances are those of :func:`passerby.retrieval.ranking.top_k`, which evaluation ranks with too:
what is measured is what is served. Junk (:class:`~passerby.types.Role`) is never found, as it never counts.
Where the run is calibrated, a hit says how probable it is that this is the same person, and what to call it.
Predicted attributes filter a search, or are searched for without any picture: :mod:`passerby.gallery.attributes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from passerby.data import registry
from passerby.data.attributes.query import AttributeQuery, attribute_query
from passerby.data.dataset import Split
from passerby.data.images.decode import decode
from passerby.data.images.open import ImageLike, QueryImage, list_images
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import ConfigError, DatasetLayoutError, ProtocolError, WeightsError
from passerby.gallery.attributes import log_probability, names
from passerby.gallery.joints import check_same_keypoints, keypoints_of, uses_keypoints, warn_unknown_keypoints
from passerby.inference.attributes import predicted, schema_of
from passerby.inference.embeddings_file import Origin, check_same_options, read_embeddings, write_embeddings
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Hit, Role

DEFAULT_K = 10


class Gallery:
    """Embedded pictures that can be searched.

    Args:
        predictor: the model that embedded them; queries go through it too.
        source: what their paths are relative to; needed only to show them.
        origin: what their file says of them; by default the predictor embeds them as it does the query.
    """

    def __init__(
        self, model: Model, embeddings: Embeddings, source: Source | str | Path, origin: Origin | None = None
    ) -> None:
        self.model, self.embeddings = model, embeddings
        self._source, self._origin = source, origin
        roles = embeddings.roles
        junk = roles == int(Role.JUNK) if roles is not None else torch.zeros(0, dtype=torch.bool)
        self._searched = embeddings[~junk] if junk.any() else embeddings

    @classmethod
    def from_folder(
        cls,
        model: Model,
        folder: str | Path,
        *,
        split: Split | Literal["all"] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Gallery:
        """Embed the pictures of a directory or archive (see :func:`pictures` for which).

        Raises:
            DatasetLayoutError: if there are none.
            ImageError: if one cannot be read.
        """
        source, samples = list_images(folder, split)
        embeddings = model.embed_samples(source, samples, progress=progress)
        return cls(model, embeddings, source)

    @classmethod
    def from_parquet(cls, model: Model, path: str | Path, *, root: str | Path | None = None) -> Gallery:
        """Open what :meth:`save` or ``passerby embed`` wrote.

        Args:
            root: where the pictures are now, if they have moved.

        Raises:
            WeightsError: if another model embedded them.
            ConfigError: if they were embedded, or are to be compared, otherwise than the predictor does.
            DatasetLayoutError: if the file is not one of embeddings.
        """
        stored = read_embeddings(path)
        origin, fingerprint = stored.origin, model.fingerprint
        if origin.fingerprint != fingerprint:
            raise WeightsError(
                f"{path} was embedded by another model ({origin.model}, fingerprint {origin.fingerprint}; this one is "
                f"{model.network.card.name}, {fingerprint}), so distances would mean nothing; search with the run "
                f"that embedded it, or embed again: passerby embed RUN {origin.root} -o {path} --overwrite"
            )
        if origin.attributes and origin.attributes != names(model.network.schema):
            raise WeightsError(
                f"{path} names other attributes than this run ({', '.join(n for n, _ in origin.attributes)}); "
                f"embed again: passerby embed RUN {origin.root} -o {path} --overwrite"
            )
        check_same_options(path, origin, model.protocol)
        if origin.keypoints is None and uses_keypoints(model):
            warn_unknown_keypoints(str(path))
        return cls(model, stored.embeddings, root or origin.root, origin)

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

    @cached_property
    def keypoints(self) -> KeypointOrigin | None:
        """Whose joints cut the pictures; ``None`` where none did, or nobody knows any more."""
        if self._origin is not None:
            return self._origin.keypoints
        return keypoints_of(self.model, self.source) if uses_keypoints(self.model) else None

    def save(self, path: str | Path) -> None:
        """Write the embeddings to one Parquet file (see :mod:`passerby.inference.embeddings_file`).

        Raises:
            OutputError: if it cannot be written; nothing is left behind then.
        """
        model = self.model.network.card.name
        source = self._source
        place = source.place if isinstance(source, Source) else registry.absolute_spec(source)
        groups = () if self.embeddings.attributes is None else names(self.model.network.schema)
        how = {name: getattr(self.model.options, name) for name in ("flip_tta", "normalize")}
        origin = Origin(self.model.fingerprint, model, self.model.size, place, groups, **how, keypoints=self.keypoints)
        write_embeddings(path, self.embeddings, origin)

    def search(
        self,
        query: ImageLike | QueryImage | None,
        k: int | None = None,
        *,
        attributes: str | Mapping[str, str] | AttributeQuery | None = None,
    ) -> list[Hit]:
        """The k pictures nearest to ``query``, nearest first; or, without a query, those that fit ``attributes`` best.

        Args:
            query: see :meth:`QueryImage.of <passerby.data.images.open.QueryImage.of>`; ``None``: all pictures are ranked by the probability of ``attributes``.
            k: how many; ``None``: ten, or all where there are fewer.
            attributes: ``backpack=yes,upper_color=red``, or values by name of group. With a query only pictures that
                are predicted to have all of them are searched, and fewer than k may be found, or none.

        Raises:
            ProtocolError: if the gallery has fewer than k, or neither picture nor attributes are given.
            ImageError: if the query cannot be decoded.
            ConfigError: if the model predicts no attributes, or not those; if a network found the joints of the gallery
                and another one, or nobody, would find the query's (:mod:`passerby.gallery.joints`).
            DatasetLayoutError: if the gallery was embedded without them.
        """
        asked = None if attributes is None else self.attribute_query(attributes)
        if query is not None:
            return self._nearest(query if isinstance(query, QueryImage) else QueryImage.of(query), k, asked)
        if asked is None:
            raise ProtocolError("there is nothing to search for: give a picture, attributes, or both")
        return self._likeliest(asked, k)

    def attribute_query(self, asked: str | Mapping[str, str] | AttributeQuery) -> AttributeQuery:
        """What is asked for, where this gallery can answer it (raises as :meth:`search` does)."""
        schema = schema_of(self.model.network)
        self._probabilities()
        if not isinstance(asked, AttributeQuery):
            return attribute_query(asked, schema)
        if asked.schema != schema:
            raise ConfigError(
                f"{asked} is asked for in the attributes of {asked.schema.name}, but the gallery has those of "
                f"{schema.name}; ask in words (GROUP=VALUE,…), or make the query with the model's schema"
            )
        return asked

    def matching(self, asked: AttributeQuery) -> int:
        """How many pictures are predicted to have all the attributes asked for."""
        return int(predicted(self._probabilities(), asked).sum())

    def _probabilities(self) -> Tensor:
        if self._searched.attributes is None:
            raise DatasetLayoutError(
                "the gallery was embedded without attributes; embed it again: passerby embed RUN FOLDER -o FILE.parquet"
            )
        return self._searched.attributes

    def _nearest(self, picture: QueryImage, k: int | None, asked: AttributeQuery | None) -> list[Hit]:
        place = str(self._source.place if isinstance(self._source, Source) else self._source)
        check_same_keypoints(self.keypoints, keypoints_of(self.model, picture.source), place)
        embedded = self.model.embed_samples(picture.source, [picture.sample])
        normalize = self.model.protocol.normalize
        if asked is None:
            k = min(DEFAULT_K, len(self)) if k is None else k
            ranking = top_k(embedded, self._searched, k, normalize=normalize)
            return self._judged(self._hits(ranking.indices[0], ranking.distances[0]))
        rows = predicted(self._probabilities(), asked).nonzero().squeeze(1)
        if not len(rows):
            return []
        k = min(self._checked(k), len(rows))
        ranking = top_k(embedded, self._searched[rows], k, normalize=normalize)
        return self._judged(self._hits(rows[ranking.indices[0]], ranking.distances[0], asked))

    def _likeliest(self, asked: AttributeQuery, k: int | None) -> list[Hit]:
        distances, rows = (-log_probability(self._probabilities(), asked)).sort(stable=True)
        k = self._checked(k)
        return self._hits(rows[:k], distances[:k], asked)

    @cached_property
    def _calibration(self) -> Calibration | None:
        """What the distances of a search mean."""
        return self.model.calibration_for(self.model.protocol)

    def _judged(self, hits: list[Hit]) -> list[Hit]:
        """With P(same person) and what to call it, where the run is calibrated for such distances."""
        if self._calibration is None:
            return hits
        said = [self._calibration.verdict(hit.distance) for hit in hits]
        return [
            replace(hit, same_person=probability, verdict=verdict)
            for hit, (probability, verdict) in zip(hits, said, strict=True)
        ]

    def _checked(self, k: int | None) -> int:
        if k is not None and not 1 <= k <= len(self):
            raise ProtocolError(f"k must be between 1 and the gallery's {len(self)} images, got {k}")
        return min(DEFAULT_K, len(self)) if k is None else k

    def _hits(self, rows: Tensor, distances: Tensor, asked: AttributeQuery | None = None) -> list[Hit]:
        found = zip(rows.tolist(), distances.tolist(), strict=True)
        logs = None if asked is None else log_probability(self._probabilities()[rows], asked).tolist()
        return [
            self._hit(n, row, distance, None if logs is None else math.exp(logs[n - 1]))
            for n, (row, distance) in enumerate(found, start=1)
        ]

    def image(self, hit: Hit) -> Image.Image:
        """The picture of one hit.

        Raises:
            DatasetLayoutError: if it is no longer where it was.
        """
        return decode(self.source.read(hit.path), name=hit.path)

    def _hit(self, rank: int, row: int, distance: float, probability: float | None) -> Hit:
        e = self._searched
        pid, camid = (None if c is None else int(c[row]) for c in (e.pids, e.camids))
        role = Role.PERSON if e.roles is None else Role(int(e.roles[row]))
        return Hit(rank, e.paths[row], distance, pid=pid, camid=camid, probability=probability, role=role)
