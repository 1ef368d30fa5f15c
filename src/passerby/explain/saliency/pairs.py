"""The pairs of images of a distance saliency figure: each query with a true match, and with a hard negative."""

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
"""The number of random gallery images among which a hard negative is searched: enough to find a similar person."""


class ImagePair(NamedTuple):
    """A query, and the image that it is compared with."""

    query: Sample
    other: Sample
    same: bool | None
    """The truth: both images show the same person; ``None`` where identities are unknown."""


def select_pairs(model: Model, dataset: Dataset, queries: Sequence[Sample], *, seed: int = 0) -> tuple[ImagePair, ...]:
    """Select for each query a match by another camera and the nearest other person; or the nearest, without identities.

    Args:
        model: measures distances, to :data:`OTHERS` gallery images.
        seed: random seed of these images, and of the match.

    Raises:
        DatasetLayoutError: if the gallery has no image to compare a query with.
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
                f"{dataset.name}'s gallery has no image of the person in {query.path} by another camera. Fix: name "
                "another query (--query), or explain identities (--by identity)"
            )
        found.append(ImagePair(query, matches[int(torch.randint(len(matches), (), generator=draw))], True))
        found += [ImagePair(query, other, False) for other in by_distance if other.pid not in (None, query.pid)][:1]
    return tuple(found)


def _matches(query: Sample, sample: Sample) -> bool:
    """Test for the same person in another image, by another camera where cameras are known."""
    elsewhere = query.camid is None or sample.camid != query.camid
    return sample.pid == query.pid and elsewhere and sample.path != query.path


def _nearest(model: Model, dataset: Dataset, queries: Sequence[Sample], drawn: Sequence[Sample]) -> list[list[Sample]]:
    """Sort the drawn samples for each query, nearest first."""
    x, y = (_features(model, model.embed_samples(dataset.source, each)) for each in (queries, drawn))
    orders = squared_euclidean(x, y).argsort(dim=1, stable=True).tolist()
    return [[drawn[place] for place in order] for order in orders]


def _features(model: Model, embeddings: Embeddings) -> torch.Tensor:
    features = embeddings.embedding
    return l2_normalize(features) if model.protocol.normalize else features
