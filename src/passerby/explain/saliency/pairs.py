"""Which pictures a figure of distances compares: a query with its match, and with the nearest of somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from passerby.data.dataset import Dataset
from passerby.errors import DatasetLayoutError
from passerby.inference.model import Model
from passerby.retrieval.distance.euclidean import l2_normalize, squared_euclidean
from passerby.types import Embeddings, Role, Sample

OTHERS = 200
"""Gallery pictures, drawn at random, among which the nearest is looked for: enough to find somebody alike."""


class ImagePair(NamedTuple):
    """A query, and what it is compared with."""

    query: Sample
    other: Sample
    same: bool | None
    """Whether both are one person; ``None`` where nobody said."""


def select_pairs(model: Model, dataset: Dataset, queries: Sequence[Sample], *, seed: int = 0) -> tuple[ImagePair, ...]:
    """Of each query a match by another camera, and the nearest of other people; or the nearest, if nobody is known.

    Args:
        predictor: says what is near, among :data:`OTHERS` pictures.

    Raises:
        DatasetLayoutError: if the gallery has nothing to compare a query with.
    """
    draw = torch.Generator().manual_seed(seed)
    people = [sample for sample in dataset.split("gallery") if sample.role is Role.PERSON]
    drawn = [people[place] for place in torch.randperm(len(people), generator=draw)[:OTHERS].tolist()]
    nearest = _nearest(model, dataset, queries, drawn)
    found: list[ImagePair] = []
    for query, by_distance in zip(queries, nearest, strict=True):
        if query.pid is None:
            found += [ImagePair(query, other, None) for other in by_distance if other.path != query.path][:1]
            continue
        matches = [sample for sample in people if _matches(query, sample)]
        if not matches:
            raise DatasetLayoutError(
                f"{dataset.name}'s gallery has no picture of the person in {query.path} by another camera; name "
                "another query (--query), or explain identities (--by identity)"
            )
        found.append(ImagePair(query, matches[int(torch.randint(len(matches), (), generator=draw))], True))
        found += [ImagePair(query, other, False) for other in by_distance if other.pid not in (None, query.pid)][:1]
    return tuple(found)


def _matches(query: Sample, sample: Sample) -> bool:
    """The same person in another picture, by another camera where cameras are known."""
    elsewhere = query.camid is None or sample.camid != query.camid
    return sample.pid == query.pid and elsewhere and sample.path != query.path


def _nearest(model: Model, dataset: Dataset, queries: Sequence[Sample], drawn: Sequence[Sample]) -> list[list[Sample]]:
    """Those that were drawn, for each query the nearest first."""
    x, y = (_compared(model, model.embed_samples(dataset.source, some)) for some in (queries, drawn))
    orders = squared_euclidean(x, y).argsort(dim=1, stable=True).tolist()
    return [[drawn[place] for place in order] for order in orders]


def _compared(model: Model, embeddings: Embeddings) -> torch.Tensor:
    features = embeddings.embedding
    return l2_normalize(features) if model.protocol.normalize else features
