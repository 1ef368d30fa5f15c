"""Model + dataset → numbers, and the embeddings they were computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from passerby.data.attributes.labels import Attributes
from passerby.data.dataset import Dataset, people, queries_without_match
from passerby.errors import ConfigError, ProtocolError, UnknownNameError
from passerby.evaluation.attribute_test import AttributeTest
from passerby.evaluation.copies import check_no_copies, check_no_equal_embeddings, check_not_alike
from passerby.evaluation.multi_query import check_further_images, pool_queries
from passerby.evaluation.open_set import open_set_details
from passerby.inference.model import Model
from passerby.inference.session import evaluation_mode
from passerby.metrics.pairs import check_not_reranked
from passerby.metrics.protocol import check_several_people, evaluate_embeddings
from passerby.metrics.single_shot import NO_DRAWS
from passerby.models.base import ReidModel
from passerby.models.card import ModelCard
from passerby.retrieval.matches import NAME_CAMERAS
from passerby.retrieval.rerank import check_neighbors
from passerby.types import Embeddings, EvalResult, Protocol, QueryGallery, Role, Sample

ALL_BRANCHES = "all"
"""The name of the whole embedding of a model with branches."""


def evaluate(
    model: Model | ReidModel,
    dataset: Dataset,
    *,
    size: tuple[int, int] | None = None,
    protocol: Protocol | None = None,
    attributes: Attributes | None = None,
    open_set: bool = False,
    progress: Callable[[int], object] | None = None,
) -> EvalResult:
    """Embed the dataset's query and gallery, rank the gallery for each query, and return numbers and embeddings.

    These are the numbers of the end of a training run and of ``passerby evaluate``.

    Args:
        model: a model, or a bare network, which is evaluated as its paper does, on its device.
        size: (height, width) of a bare network's images; default: that of its card.
        protocol: default: :meth:`~passerby.inference.model.Model.protocol_for` the dataset; the ``flip_tta`` of a given
            one counts, not the model's.
        attributes: the gallery's true attributes, to compare predicted ones with
            (:class:`~passerby.evaluation.attribute_test.AttributeTest`).
        open_set: also tell same from different people by distance alone; a calibrated run always does (``details`` of
            the result: :func:`passerby.evaluation.open_set.open_set_details`).
        progress: called with the number of images after each batch.

    Raises:
        ConfigError: if ``dataset`` is no :class:`~passerby.data.dataset.Dataset`: a path, for example.
        DatasetLayoutError: if query or gallery is empty.
        ProtocolError: if the dataset or the model lacks what the protocol needs.
    """
    if not isinstance(dataset, Dataset):
        raise ConfigError(
            f"there is no dataset to evaluate on: got {dataset!r} ({type(dataset).__name__}), expected a Dataset. "
            f"Fix: passerby.data.load({str(dataset) if isinstance(dataset, (str, Path)) else 'NAME:PATH'!r})"
        )
    rest = partial(
        _evaluate, dataset=dataset, protocol=protocol, attributes=attributes, open_set=open_set, progress=progress
    )
    if isinstance(model, Model):
        if size is not None:
            raise ConfigError(f"got size {size} beside a model, which has its own ({model.size}). Fix: leave it out")
        return rest(model)
    with evaluation_mode(model):
        return rest(Model(model, size or model.card.input_size))


def _evaluate(
    model: Model,
    *,
    dataset: Dataset,
    protocol: Protocol | None,
    attributes: Attributes | None,
    open_set: bool,
    progress: Callable[[int], object] | None,
) -> EvalResult:
    """Check everything that can fail, then embed and compare."""
    protocol = protocol or model.protocol_for(dataset)
    check_distance(model.card, protocol.distance)
    if protocol.branch is not None:
        check_branch(model, protocol)
        protocol = replace(protocol, branch=None if protocol.branch == ALL_BRANCHES else protocol.branch)
    if open_set:
        check_not_reranked(protocol)
    calibration = model.calibration_for(protocol)
    test = AttributeTest.of(model, dataset, attributes) if attributes else None
    check_evaluable(dataset, protocol)  # last: it reads files
    query, gallery = sides = _embed(model, dataset, protocol, progress)
    check_not_alike(sides)
    check_no_equal_embeddings(sides, protocol)
    result = evaluate_embeddings(query, gallery, protocol)
    junk = {} if protocol.draws else {"gallery_junk": len(dataset.gallery) - len(gallery)}
    dropped = result.queries_dropped + len(dataset.query) - len(query)
    details = open_set_details(query, gallery, protocol, calibration, dataset) if open_set or calibration else {}
    return replace(
        result,
        queries_dropped=dropped,
        details=result.details | junk | details,
        attributes=test.result(gallery) if test else None,
        embeddings=sides,
    )


def _embed(
    model: Model, dataset: Dataset, protocol: Protocol, progress: Callable[[int], object] | None
) -> QueryGallery:
    def embed(samples: Sequence[Sample]) -> Embeddings:
        found = model.embed_samples(
            dataset.source,
            samples,
            with_local=protocol.distance != "global",
            flip_tta=protocol.flip_tta,
            progress=progress,
        )
        if protocol.branch is None:
            return found
        return replace(found, embedding=model.network.read_branch(found.embedding, protocol.branch))

    samples = evaluated_samples(dataset, protocol)
    query, gallery = embed(samples.query), embed(samples.gallery)
    if protocol.multi_query:
        query = pool_queries(query, embed(samples.further), protocol.multi_query, normalize=protocol.normalize)
    return QueryGallery(query, gallery)


@dataclass(frozen=True)
class EvaluatedSamples:
    """The samples that an evaluation embeds."""

    query: tuple[Sample, ...]
    gallery: tuple[Sample, ...]
    further: tuple[Sample, ...] = ()
    """The images that multi-query pools."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.query) + len(self.gallery) + len(self.further)


def evaluated_samples(dataset: Dataset, protocol: Protocol) -> EvaluatedSamples:
    """Return the samples that an evaluation embeds: no junk, and of the further images only those of its queries.

    Raises:
        DatasetLayoutError: if query or gallery is empty.
    """
    query, gallery = dataset.counted("query"), dataset.counted("gallery")
    if not protocol.ignore_same_camera and any(s.camid is None for s in (*query, *gallery)):
        query, gallery = (tuple(replace(s, camid=None) for s in side) for side in (query, gallery))
    if not protocol.multi_query:
        return EvaluatedSamples(query, gallery)
    pooled = {(sample.pid, sample.camid) for sample in query}
    return EvaluatedSamples(query, gallery, tuple(s for s in dataset.further if (s.pid, s.camid) in pooled))


def check_branch(model: Model, protocol: Protocol) -> None:
    """Check before any work that a model has the branch of a protocol, which may be :data:`ALL_BRANCHES`.

    Raises:
        ProtocolError: if it has no branches, or they are not compared by the protocol's distance.
        UnknownNameError: if it has others.
    """
    known, name = model.network.branches_of_embedding(), protocol.branch
    if not known:
        raise ProtocolError(
            f"{model.card.name} has no branches to evaluate alone, or these options mix them: got branch {name!r}. "
            "Fix: leave the branch out"
        )
    if name is not None and name not in (*known, ALL_BRANCHES):
        raise UnknownNameError(f"branch of {model.card.name}", name, (*known, ALL_BRANCHES))
    if protocol.distance != "global":
        raise ProtocolError(
            f"distance {protocol.distance} compares stripes, which belong to no branch: got branch {name!r}. Fix: use "
            "the distance global, or leave the branch out"
        )


def check_distance(card: ModelCard, distance: str) -> None:
    """Check before any work that a model's output can be compared by ``distance``.

    Raises:
        ProtocolError: if it lacks what the distance compares.
    """
    if distance not in card.distances:
        known = ", ".join(card.distances)
        raise ProtocolError(f"{card.name} has no {distance} distance; it has {known}. Fix: choose one that it has")


def check_evaluable(dataset: Dataset, protocol: Protocol) -> None:
    """Check before any work what would make the evaluation fail after it.

    Raises:
        DatasetLayoutError: if query or gallery is empty.
        ProtocolError: if people or cameras are unknown, no query has a valid match, the gallery shows one person only,
            queries find themselves, images to pool are missing, or re-ranking asks for more neighbors than images.
    """
    query, gallery = dataset.split("query"), dataset.split("gallery")
    if protocol.rerank:
        check_neighbors(protocol.rerank, len(dataset.counted("query")) + len(dataset.counted("gallery")))
    if protocol.multi_query:
        check_further_images(dataset, protocol)
    if any(s.pid is None for s in (*query, *gallery)):
        raise ProtocolError(
            f"{dataset.name} at {dataset.source.root} does not give the person of every image. "
            "Fix: name the people (docs/data.md), or search instead"
        )
    if protocol.draws and not protocol.ignore_same_camera:
        raise ProtocolError(NO_DRAWS)
    unknown = sum(s.camid is None for s in (*query, *gallery))
    if protocol.ignore_same_camera and unknown:
        raise ProtocolError(
            f"protocol {protocol.name} ignores matches from the same camera, but {dataset.name} at "
            f"{dataset.source.root} does not name the camera of {unknown:,} of {len(query) + len(gallery):,} images. "
            f"{NAME_CAMERAS}"
        )
    if len(queries_without_match(query, gallery, across_cameras=protocol.ignore_same_camera)) == len(query):
        raise ProtocolError(
            f"none of the {len(query)} queries has a valid match in the gallery ({len(gallery)} images): their people "
            "are absent from it or seen by the same camera only. "
            "Fix: `passerby data check` names them; --all-cameras counts the query's own camera too"
        )
    distractors = sum(sample.role is Role.DISTRACTOR for sample in gallery)
    check_several_people(len(people(gallery)) + distractors, len(dataset.counted("gallery")))
    check_no_copies(dataset, protocol)
