"""What a data set says of its queries, by which an evaluation is sliced (:mod:`passerby.metrics.subgroups`)."""

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

VISIBILITY = "visible joints"
_BINS = {"0–9": range(10), "10–14": range(10, 15), "15–17": range(15, 18), "18": range(18, 19)}
"""Much hidden; a side (drawn people seen from the side show 10 to 12); little; nothing."""
_UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Labels:
    """What is said of each query, by its path."""

    dimension: Dimension
    group: str
    order: tuple[str, ...]
    """Of all values there can be."""
    of: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Grouping:
    """How to slice; made before any picture is embedded, as it may be refused.

    ``Grouping(("cameras",))`` needs nothing but embeddings, :meth:`of_dataset` makes the others.
    """

    dimensions: tuple[Dimension, ...]
    labels: tuple[Labels, ...] = ()

    @classmethod
    def of_dataset(
        cls, dimensions: Sequence[Dimension], dataset: Dataset, *, attributes: Attributes | None = None
    ) -> Grouping:
        """By what is known of a data set's queries.

        Args:
            attributes: what the people wear, for ``attributes``.

        Raises:
            DatasetLayoutError: if the data set does not say which joints are visible, or nobody describes the queries.
            ConfigError: if slices by attributes are asked for without attributes.
        """
        labels: list[Labels] = []
        if "attributes" in dimensions:
            if attributes is None:
                raise ConfigError("slices by attributes need what the people wear: read_attributes(…)")
            labels += _by_attributes(attributes, dataset.split("query"))
        if "visibility" in dimensions:
            labels.append(_by_visibility(dataset))
        return cls(tuple(dimensions), tuple(labels))

    def subgroups(self, query: Embeddings, gallery: Embeddings, result: EvalResult) -> tuple[Subgroup, ...]:
        """The slices of an evaluation of these embeddings.

        Raises:
            ProtocolError: if it gives nothing of each query (:func:`~passerby.evaluation.per_query.check_no_draws`).
        """
        check_no_draws(result.protocol)
        each = result.per_query
        assert each is not None
        found: list[Subgroup] = []
        for dimension in self.dimensions:
            if dimension == "cameras":
                found += camera_subgroups(query, gallery, result.protocol)
            for some in self.labels:
                if some.dimension == dimension:
                    said = [some.of[path] for path in each.paths]
                    found += query_subgroups(dimension, some.group, said, each, order=some.order)
        return tuple(found)


def parse_dimensions(text: str) -> tuple[Dimension, ...]:
    """``cameras,visibility`` as names.

    Raises:
        UnknownNameError: for a name that is none.
    """
    names = dict.fromkeys(name.strip() for name in text.split(","))
    known: tuple[Dimension, ...] = get_args(Dimension)
    for name in names:
        if name not in known:
            raise UnknownNameError("dimension of slices", name, known)
    return tuple(name for name in known if name in names)


def _by_attributes(attributes: Attributes, samples: Sequence[Sample]) -> Iterable[Labels]:
    """One group of the schema after another; those of which nothing is known of anybody are left out."""
    classes = attributes.of_all(samples)  # (n, groups)
    paths = [sample.path for sample in samples]
    for group, column in zip(attributes.schema.groups, classes.T, strict=True):
        if (column != UNKNOWN).any():
            said = [_UNKNOWN if cls == UNKNOWN else group.values[cls] for cls in column]
            yield Labels("attributes", group.name, (*group.values, _UNKNOWN), dict(zip(paths, said, strict=True)))


def _by_visibility(dataset: Dataset) -> Labels:
    """By joints that somebody marked: a network says where it supposes a joint, not whether it can be seen."""
    source, paths = dataset.source, [sample.path for sample in dataset.split("query")]
    if not has_keypoints(source):
        raise DatasetLayoutError(
            f"{dataset.name} at {source.root} does not say which joints can be seen: slices by visibility need a "
            f"{KEYPOINTS} of COCO's form beside its pictures (drawn people have it), or leave visibility out"
        )
    estimator = cached(own_keypoints(source), source)  # drawn people are drawn once; of their pictures names suffice
    confidence = estimator(paths, torch.empty(len(paths))).confidence  # (n, 18)
    counts = (confidence >= CONFIDENCE[VISIBLE]).sum(axis=1)
    return Labels("visibility", VISIBILITY, tuple(_BINS), dict(zip(paths, map(_bin, counts.tolist()), strict=True)))


def _bin(visible: int) -> str:
    return next(name for name, counts in _BINS.items() if visible in counts)
