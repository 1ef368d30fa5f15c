"""Labels of a dataset's queries, by which an evaluation is split (:mod:`passerby.metrics.subgroups`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import torch

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import UNKNOWN
from passerby.data.dataset import Dataset
from passerby.data.keypoints.cache import cached
from passerby.data.keypoints.files import CONFIDENCE, has_keypoints, own_keypoints
from passerby.data.keypoints.skeleton import VISIBLE
from passerby.data.source import KEYPOINTS
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError
from passerby.evaluation.per_query import check_no_draws
from passerby.metrics.subgroups import Dimension, Subgroup, camera_subgroups, query_subgroups
from passerby.types import Embeddings, EvalResult, Sample

VISIBILITY = "visible keypoints"
_BINS = {"0–9": range(10), "10–14": range(10, 15), "15–17": range(15, 18), "18": range(18, 19)}
"""The bins of visible keypoints: much is hidden; one side (synthetic pedestrians seen from the side show 10 to 12);
little; nothing."""
_UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class QueryLabels:
    """One label per query, by its path."""

    dimension: Dimension
    group: str
    order: tuple[str, ...]
    """All values that there can be, in order."""
    of: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Grouping:
    """The way to split queries into subgroups; made before any image is embedded, as that may fail.

    ``Grouping(("cameras",))`` needs nothing but embeddings, :meth:`of_dataset` makes the others.
    """

    dimensions: tuple[Dimension, ...]
    labels: tuple[QueryLabels, ...] = ()

    @classmethod
    def of_dataset(
        cls, dimensions: Sequence[Dimension], dataset: Dataset, *, attributes: Attributes | None = None
    ) -> Grouping:
        """Return the grouping by a dataset's labels.

        Args:
            attributes: the true attributes, for the dimension ``attributes``.

        Raises:
            DatasetLayoutError: if the dataset has no visible keypoints, or the attributes describe none of its queries.
            ConfigError: if subgroups by attributes are asked for without attributes.
        """
        labels: list[QueryLabels] = []
        if "attributes" in dimensions:
            if attributes is None:
                raise ConfigError("subgroups by attributes need the true attributes. Fix: pass read_attributes(…)")
            labels += _by_attributes(attributes, dataset.split("query"))
        if "visibility" in dimensions:
            labels.append(_by_visibility(dataset))
        return cls(tuple(dimensions), tuple(labels))

    def subgroups(self, query: Embeddings, gallery: Embeddings, result: EvalResult) -> tuple[Subgroup, ...]:
        """Return the subgroups of an evaluation of these embeddings.

        Raises:
            ProtocolError: if it has no results per query (:func:`~passerby.evaluation.per_query.check_no_draws`).
        """
        check_no_draws(result.protocol)
        each = result.per_query
        assert each is not None
        found: list[Subgroup] = []
        for dimension in self.dimensions:
            if dimension == "cameras":
                found += camera_subgroups(query, gallery, result.protocol)
            for labels in self.labels:
                if labels.dimension == dimension:
                    values = [labels.of[path] for path in each.paths]
                    found += query_subgroups(dimension, labels.group, values, each, order=labels.order)
        return tuple(found)


def parse_dimensions(text: str) -> tuple[Dimension, ...]:
    """Return the dimensions that a text names: ``cameras,visibility``.

    Raises:
        UnknownNameError: for an unknown dimension.
    """
    names = dict.fromkeys(name.strip() for name in text.split(","))
    known: tuple[Dimension, ...] = get_args(Dimension)
    for name in names:
        if name not in known:
            raise UnknownNameError("dimension of subgroups", name, known)
    return tuple(name for name in known if name in names)


def _by_attributes(attributes: Attributes, samples: Sequence[Sample]) -> Iterable[QueryLabels]:
    """Yield the labels of each attribute group; groups that are unknown for every query are left out."""
    classes = attributes.of_all(samples)  # (n, groups)
    paths = [sample.path for sample in samples]
    for group, column in zip(attributes.schema.groups, classes.T, strict=True):
        if (column != UNKNOWN).any():
            values = [_UNKNOWN if cls == UNKNOWN else group.values[cls] for cls in column]
            yield QueryLabels(
                "attributes", group.name, (*group.values, _UNKNOWN), dict(zip(paths, values, strict=True))
            )


def _by_visibility(dataset: Dataset) -> QueryLabels:
    """Return the number of annotated visible keypoints; a network only tells where it expects a keypoint."""
    source, paths = dataset.source, [sample.path for sample in dataset.split("query")]
    if not has_keypoints(source):
        raise DatasetLayoutError(
            f"{dataset.name} at {source.root} has no annotated keypoints, which subgroups by visibility need. "
            f"Fix: put a {KEYPOINTS} in COCO format beside the images, as synthetic datasets have it, or leave "
            "visibility out"
        )
    estimator = cached(own_keypoints(source), source)  # synthetic images are rendered once; their names suffice
    confidence = estimator(paths, torch.empty(len(paths))).confidence  # (n, 18)
    counts = (confidence >= CONFIDENCE[VISIBLE]).sum(axis=1)
    return QueryLabels(
        "visibility", VISIBILITY, tuple(_BINS), dict(zip(paths, map(_bin, counts.tolist()), strict=True))
    )


def _bin(visible: int) -> str:
    return next(name for name, counts in _BINS.items() if visible in counts)
