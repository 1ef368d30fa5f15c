"""Multi-query (Zheng et al., ICCV 2015, §5.1): all images of a person from one camera form one query.

A query's embedding becomes the mean, or in every dimension the maximum, of those of all these images, which are
L2-normalized first where the protocol compares normalized embeddings.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize as unit

from passerby.data.dataset import Dataset
from passerby.errors import ProtocolError
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import Embeddings, Protocol

MULTI_QUERY = "market1501-multi-query"


def check_further_images(dataset: Dataset, protocol: Protocol) -> None:
    """Check before any work that there are images to pool.

    Raises:
        ProtocolError: if a query has no further images, or galleries are random.
    """
    if protocol.draws:
        raise ProtocolError(
            "single-shot galleries are searched with single queries. Fix: leave draws or multi-query out"
        )
    if not dataset.further:
        raise ProtocolError(
            f"{dataset.name} at {dataset.source.root} has no further images of its query people; Market-1501's are "
            "the hand-drawn boxes of the folder gt_bbox, which this copy lacks. Fix: fetch them, or use single queries"
        )
    known = {(s.pid, s.camid) for s in dataset.further}
    without = [s.path for s in dataset.query if (s.pid, s.camid) not in known]
    if without:
        raise ProtocolError(
            f"{len(without):,} of {len(dataset.query):,} queries have no further images from their camera, for example "
            f"{without[0]}. Fix: check that the folder gt_bbox is complete"
        )


def pool_queries(query: Embeddings, further: Embeddings, how: Literal["mean", "max"], *, normalize: bool) -> Embeddings:
    """Return queries whose embeddings pool all ``further`` images of their person from their camera."""
    rows = defaultdict(list)
    for row, key in enumerate(_keys(further)):
        rows[key].append(row)
    features = l2_normalize(further.embedding) if normalize else further.embedding
    each = [torch.tensor(rows[key]) for key in _keys(query)]
    local = None
    if further.local is not None:
        local = unit(torch.stack([_pool(further.local[some], how) for some in each]), dim=2)
    return replace(query, embedding=torch.stack([_pool(features[some], how) for some in each]), local=local)


def _keys(embeddings: Embeddings) -> list[tuple[int, int]]:
    assert embeddings.pids is not None
    assert embeddings.camids is not None
    return list(zip(embeddings.pids.tolist(), embeddings.camids.tolist(), strict=True))


def _pool(rows: Tensor, how: Literal["mean", "max"]) -> Tensor:
    return rows.mean(dim=0) if how == "mean" else rows.amax(dim=0)
