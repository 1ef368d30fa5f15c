"""The metrics of an evaluation by subgroup: computed again for a part of its queries at a time.

==============  =======================  =========================  ==========================================
dimension       group                    value                      queries
==============  =======================  =========================  ==========================================
``cameras``     camera of the query      camera of the gallery      by the one, in the gallery of the other
``attributes``  group of a schema        value of the attribute     of such people, in the whole gallery
``visibility``  ``visible keypoints``    number of the 18           with so many, in the whole gallery
==============  =======================  =========================  ==========================================

A pair of cameras is a separate evaluation: true and false matches are those of the gallery's camera, and
re-ranking finds neighbors within the pair. The other dimensions divide the queries of the whole evaluation, so that the
subgroups of a group together have all queries with a valid match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.metrics.functional import bootstrap_intervals
from passerby.metrics.protocol import count_people, evaluate_embeddings
from passerby.retrieval.distance.compare import BLOCK_BYTES
from passerby.retrieval.matches import Matches, unknown_cameras
from passerby.types import Embeddings, Protocol, QueryResults

Dimension = Literal["cameras", "attributes", "visibility"]
FEW = 10
"""The number of queries below which a subgroup is marked: one of them changes rank-1 by more than a tenth."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The metrics of a subgroup of queries (see the module's table), in [0, 1], larger is better."""

    dimension: Dimension
    group: str
    value: str
    queries: int
    """The number of queries with a valid match."""
    people: int
    """The number of people in these queries: queries of one person are similar, which the intervals ignore."""
    rank1: float
    mean_ap: float
    rank1_interval: tuple[float, float]
    """The 95 % interval of rank-1, by bootstrap over the queries."""
    mean_ap_interval: tuple[float, float]

    @property
    def few(self) -> bool:
        """A flag, true if there are too few queries for a reliable number."""
        return self.queries < FEW

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        intervals = {"rank1_interval": list(self.rank1_interval), "mean_ap_interval": list(self.mean_ap_interval)}
        return {**asdict(self), **intervals, "few": self.few}


def camera_subgroups(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> tuple[Subgroup, ...]:
    """Evaluate every camera's queries against every camera's gallery, by query camera, then gallery camera.

    Pairs in which no query has a valid match are left out (if the protocol ignores a query's own camera, pairs of a
    camera with itself are among them), and those whose gallery shows one person only: there any model is perfect.

    Raises:
        ProtocolError: if camera IDs are unknown, or the protocol draws galleries.
    """
    if query.camids is None or gallery.camids is None or unknown_cameras(query) + unknown_cameras(gallery):
        raise ProtocolError(
            "subgroups by camera need the camera IDs of query and gallery. Fix: name them (docs/data.md)"
        )
    if protocol.draws:
        raise ProtocolError(
            f"protocol {protocol.name} draws galleries, which subgroups by camera cannot. Fix: set draws to 0"
        )
    queries = {camera: query[query.camids == camera] for camera in query.camids.unique().tolist()}
    found = []
    for camera in gallery.camids.unique().tolist():
        candidates = gallery[gallery.camids == camera]
        for by, of_camera in queries.items():
            matches = Matches.find(of_camera, candidates, protocol)
            if any(len(rows) for rows in matches.positive) and count_people(candidates) > 1:
                each = evaluate_embeddings(of_camera, candidates, protocol, block_bytes=block_bytes).per_query
                assert each is not None
                found.append((by, camera, _subgroup("cameras", str(by), str(camera), each, torch.arange(len(each)))))
    return tuple(subgroup for _, _, subgroup in sorted(found, key=lambda row: row[:2]))


def query_subgroups(
    dimension: Dimension, group: str, labels: Sequence[str], each: QueryResults, *, order: Sequence[str]
) -> tuple[Subgroup, ...]:
    """Divide the queries of one evaluation by their labels.

    Args:
        labels: one label per query of ``each``.
        order: order of the labels; labels without queries are left out.

    Raises:
        ShapeError: if the numbers of labels and queries differ.
        ProtocolError: if ``order`` lacks a label, whose queries would be lost.
    """
    if len(labels) != len(each):
        raise ShapeError(f"got {len(labels)} labels of {group} for {len(each)} queries, expected one per query")
    if lost := sorted(set(labels) - set(order)):
        raise ProtocolError(f"queries of {group} {', '.join(lost)} would be lost: the order names {', '.join(order)}")
    rows = {value: [row for row, label in enumerate(labels) if label == value] for value in order}
    return tuple(_subgroup(dimension, group, value, each, torch.tensor(own)) for value, own in rows.items() if own)


def _subgroup(dimension: Dimension, group: str, value: str, each: QueryResults, rows: Tensor) -> Subgroup:
    values = torch.stack([(each.first_rank[rows] == 1).double(), each.average_precision[rows]])  # (2, n)
    rank1, mean_ap = values.mean(dim=1).tolist()
    of_rank1, of_mean_ap = (tuple(ends) for ends in bootstrap_intervals(values).tolist())
    people = len(each.pids[rows].unique())
    return Subgroup(dimension, group, value, len(rows), people, rank1, mean_ap, of_rank1, of_mean_ap)


def worst_first(subgroups: Sequence[Subgroup]) -> list[Subgroup]:
    """Sort subgroups by mAP and then rank-1, lowest first, within each dimension; dimensions keep their order."""
    dimensions = list(dict.fromkeys(each.dimension for each in subgroups))
    return sorted(subgroups, key=lambda each: (dimensions.index(each.dimension), each.mean_ap, each.rank1))
