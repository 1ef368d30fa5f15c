"""Model + dataset → numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from passerby.data.attributes.labels import Attributes
from passerby.data.dataset import Dataset, queries_without_match
from passerby.data.keypoints.crops import PartMaker
from passerby.errors import ProtocolError
from passerby.evaluation.attribute_test import AttributeTest
from passerby.evaluation.multi_query import check_further_images, pooled
from passerby.inference.embed import embed
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.single_shot import DRAWS, SINGLE_SHOT
from passerby.models.base import ReidModel
from passerby.types import Embeddings, EvalResult, Protocol


def evaluate(
    model: ReidModel,
    dataset: Dataset,
    *,
    size: tuple[int, int],
    protocol: Protocol | None = None,
    batch_size: int = 64,
    threads: int = 2,
    parts: PartMaker | None = None,
    attributes: Attributes | None = None,
    embedded: Callable[[Embeddings, Embeddings], object] | None = None,
    progress: Callable[[int], object] | None = None,
) -> EvalResult:
    """Embed the dataset's query and gallery and evaluate them under ``protocol``.

    This is for a bare model; a run's own options are known to its predictor, whose ``evaluate`` keeps to them.

    Args:
        protocol: by default Market-1501's, or the data set's own, with embeddings compared as the model's paper does
            (:func:`protocol_of`).
        parts: cuts the dataset's pictures, for a model whose card asks for parts.
        attributes: what the gallery's people wear, to compare with what the model predicts
            (:class:`~passerby.evaluation.attribute_test.AttributeTest`).
        embedded: told the embeddings of query and gallery, before they are compared.
    """
    protocol = protocol or protocol_of(model, dataset)
    check_evaluable(dataset, protocol)
    check_distance(model, protocol.distance)
    with_local = protocol.distance != "global"
    test = AttributeTest.of(model, dataset, attributes) if attributes else None
    embedding = partial(
        embed,
        model,
        dataset.source,
        size=size,
        batch_size=batch_size,
        threads=threads,
        with_local=with_local,
        flip_tta=protocol.flip_tta,
        parts=parts,
        progress=progress,
    )
    query, gallery = (embedding(dataset.split(split)) for split in ("query", "gallery"))
    if protocol.multi_query:
        query = pooled(query, embedding(dataset.further), protocol.multi_query, normalize=protocol.normalize)
    if embedded is not None:
        embedded(query, gallery)
    result = evaluate_embeddings(query, gallery, protocol)
    return replace(result, attributes=test.result(gallery)) if test else result


def protocol_of(
    model: ReidModel,
    dataset: Dataset | None = None,
    *,
    flip_tta: bool = False,
    normalize: bool | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Protocol:
    """Market-1501's protocol for a model, or, of a data set that was made for it, a single gallery shot.

    Args:
        flip_tta: average each picture with its mirror image, which no paper here does.
        normalize: compare embeddings of length 1; ``None``: as the model's paper does.
        draws: of galleries with one picture a person; 0: the whole gallery; ``None``: as the data set's own protocol
            has it.
        seed: of the draws.
    """
    if draws is None:
        draws = DRAWS if dataset is not None and dataset.single_shot else 0
    how = Protocol(flip_tta=flip_tta, normalize=model.card.normalize if normalize is None else normalize)
    return replace(how, name=SINGLE_SHOT, draws=draws, seed=seed) if draws else how


def check_distance(model: ReidModel, distance: str) -> None:
    """Say before any work that the model's output cannot be compared so.

    Raises:
        ProtocolError: if it lacks what the distance compares.
    """
    if distance not in model.card.distances:
        raise ProtocolError(f"{model.card.name} has no {distance} distance; it has {', '.join(model.card.distances)}")


def check_evaluable(dataset: Dataset, protocol: Protocol) -> None:
    """Say before any work what would make the evaluation fail after it.

    Raises:
        DatasetLayoutError: if query or gallery is empty.
        ProtocolError: if people or cameras are unknown, no query has a valid match, or pictures to pool are missing.
    """
    query, gallery = dataset.split("query"), dataset.split("gallery")
    if protocol.multi_query:
        check_further_images(dataset, protocol)
    if any(s.pid is None for s in (*query, *gallery)):
        raise ProtocolError(f"{dataset.name} at {dataset.source.root} does not say who everybody is")
    if protocol.ignore_same_camera and any(s.camid is None for s in (*query, *gallery)):
        raise ProtocolError(
            f"protocol {protocol.name} ignores matches from the same camera, but {dataset.name} at "
            f"{dataset.source.root} does not name every camera; name them (see docs/data.md)"
        )
    if len(queries_without_match(query, gallery, across_cameras=protocol.ignore_same_camera)) == len(query):
        raise ProtocolError(
            f"none of the {len(query)} queries has a valid match in the gallery ({len(gallery)} images): their people "
            "are absent from it or seen by the same camera only; `passerby data check` names them"
        )
