"""Multi-query (Zheng et al., ICCV 2015, §5.1): all pictures of a person by one camera ask as one.

A query's embedding becomes the mean, or in every dimension the maximum, of those of all the pictures, each of which is
first of length 1 where lengths do not count.
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
    """Say before any work that there is nothing to pool.

    Raises:
        ProtocolError: if a query has no further pictures, or galleries are drawn.
    """
    if protocol.draws:
        raise ProtocolError("a single gallery shot asks with single pictures: leave draws or multi-query out")
    if not dataset.further:
        raise ProtocolError(
            f"{dataset.name} at {dataset.source.root} has no further pictures of its query people; Market-1501's are "
            "the hand-drawn boxes of the folder gt_bbox, which this copy lacks: fetch them, or ask by single queries"
        )
    known = {(s.pid, s.camid) for s in dataset.further}
    without = [s.path for s in dataset.query if (s.pid, s.camid) not in known]
    if without:
        raise ProtocolError(
            f"{len(without):,} of {len(dataset.query):,} queries have no further pictures by their camera, for example "
            f"{without[0]}; is the folder gt_bbox whole?"
        )


def pooled(query: Embeddings, further: Embeddings, how: Literal["mean", "max"], *, normalize: bool) -> Embeddings:
    """Each query as one of all ``further`` pictures of its person by its camera."""
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
