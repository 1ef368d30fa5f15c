"""The evaluation of embeddings under a protocol: ranks from the ranking core, numbers from the pure functions."""

from __future__ import annotations

from typing import get_args

import torch

from passerby.errors import ProtocolError, UnknownNameError
from passerby.metrics.functional import APKind, average_precision, bootstrap_intervals, cmc, inverse_negative_penalty
from passerby.metrics.single_shot import single_shot
from passerby.retrieval.distance.compare import BLOCK_BYTES
from passerby.retrieval.matches import rows_with_role, without_junk
from passerby.retrieval.ranking import PositiveRanks, positive_ranks
from passerby.retrieval.rerank import check_neighbors
from passerby.types import Embeddings, EvalResult, Protocol, QueryResults, Role

MAX_RANK = 50
"""The largest rank of the CMC curve."""


def evaluate_embeddings(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol | None = None,
    *,
    max_rank: int = MAX_RANK,
    block_bytes: int = BLOCK_BYTES,
) -> EvalResult:
    """Evaluate query against gallery; the memory beside the embeddings is about ``block_bytes``.

    Raises:
        ProtocolError: if the embeddings cannot be evaluated under the protocol, the gallery shows one person only, or
            ``max_rank`` is below 1.
        ShapeError: if query and gallery come from different models.
        UnknownNameError: if the protocol names an unknown distance or average precision.
    """
    if max_rank < 1:
        raise ProtocolError(f"max_rank must be at least 1, got {max_rank}")
    protocol = protocol or Protocol()
    if protocol.average_precision not in get_args(APKind):
        raise UnknownNameError("average precision", protocol.average_precision, get_args(APKind))
    if protocol.draws < 0:
        raise ProtocolError(f"draws must be at least 0 (the whole gallery), got {protocol.draws}")
    if protocol.draws:
        return _single_shot(query, gallery, protocol, max_rank, block_bytes)
    junk = len(rows_with_role(gallery, Role.JUNK))
    if junk < len(gallery):  # a gallery of nothing but junk has no valid match, an error of the ranking
        gallery = without_junk(gallery)
    if protocol.rerank:
        check_neighbors(protocol.rerank, len(query) + len(gallery))
    found = positive_ranks(query, gallery, protocol, block_bytes=block_bytes)
    check_several_people(count_people(gallery), len(gallery))
    each = _per_query(query, found, protocol)
    values = ((each.first_rank == 1).double(), each.average_precision, each.inverse_negative_penalty)
    ends = bootstrap_intervals(torch.stack(values)).tolist()
    return EvalResult(
        protocol=protocol,
        cmc=tuple(cmc(found.ranks, found.counts, min(max_rank, len(gallery))).tolist()),
        mean_ap=each.average_precision.mean().item(),
        minp=each.inverse_negative_penalty.mean().item(),
        queries=len(found.queries),
        queries_dropped=len(found.dropped),
        gallery=len(gallery),
        details={"gallery_junk": junk},
        intervals={name: (low, high) for name, (low, high) in zip(("rank1", "mean_ap", "minp"), ends, strict=True)},
        per_query=each,
    )


def count_people(gallery: Embeddings) -> int:
    """Return the number of people in a gallery; each distractor is another one."""
    known = rows_with_role(gallery, Role.PERSON)
    assert gallery.pids is not None  # the ranking has checked that people are known
    return len(gallery.pids.cpu()[known].unique()) + len(rows_with_role(gallery, Role.DISTRACTOR))


def check_several_people(people: int, images: int) -> None:
    """Check that a gallery can be wrong: where every image is a true match, any model is perfect.

    Raises:
        ProtocolError: if it shows one person only.
    """
    if people < 2:
        raise ProtocolError(
            f"the gallery ({images:,} images) shows one person only: every image that counts is a true match, so that "
            "rank-1 and mAP are 100 % whatever the model. Fix: add images of other people to the gallery"
        )


def _per_query(query: Embeddings, found: PositiveRanks, protocol: Protocol) -> QueryResults:
    valid = query[found.queries]
    assert valid.pids is not None
    return QueryResults(
        paths=valid.paths,
        pids=valid.pids,
        camids=valid.camids,
        matches=found.counts,
        first_rank=found.ranks[found.counts.cumsum(0) - found.counts],
        average_precision=average_precision(found.ranks, found.counts, protocol.average_precision),
        inverse_negative_penalty=inverse_negative_penalty(found.ranks, found.counts),
    )


def _single_shot(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, max_rank: int, block_bytes: int
) -> EvalResult:
    found = single_shot(query, gallery, protocol, max_rank=max_rank, block_bytes=block_bytes)
    check_several_people(max(found.gallery.values()), len(gallery))
    rank1 = found.curves[:, 0]
    return EvalResult(
        protocol=protocol,
        cmc=tuple(found.curves.mean(dim=0).tolist()),
        mean_ap=None,
        minp=None,
        queries=found.queries,
        queries_dropped=len(query) - found.queries,
        gallery=max(found.gallery.values()),
        details={
            "gallery_by_query_camera": {str(camera): images for camera, images in found.gallery.items()},
            "rank1_deviation": rank1.std(correction=0).item(),
        },
    )
