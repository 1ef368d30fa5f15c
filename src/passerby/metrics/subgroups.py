"""For whom is a model worse? The numbers of an evaluation again, of some of its queries at a time.

==============  =======================  =========================  ==========================================
dimension       group                    value                      queries
==============  =======================  =========================  ==========================================
``cameras``     camera of the query      camera of the gallery      of the one; the gallery is the other's only
``attributes``  group of a schema        what the person wears      of such people, in the whole gallery
``visibility``  ``visible joints``       how many of the 18         so visible, in the whole gallery
==============  =======================  =========================  ==========================================

A pair of cameras is an evaluation of its own: true matches and strangers are those of the gallery's camera, and
re-ranking looks for neighbors within the pair. The others divide the queries of the whole evaluation, so that those
of a group add up to all that have a valid match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from passerby.errors import ProtocolError, ShapeError
from passerby.metrics.functional import bootstrap_intervals
from passerby.metrics.protocol import evaluate_embeddings
from passerby.retrieval.distance.compare import BLOCK_BYTES
from passerby.retrieval.matches import Matches
from passerby.types import Embeddings, Protocol, QueryResults

Dimension = Literal["cameras", "attributes", "visibility"]
FEW = 10
"""A slice of fewer queries is marked: one of them changes rank-1 by more than a tenth."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Numbers of some queries, in [0, 1], larger is better; the module's table says which queries."""

    dimension: Dimension
    group: str
    value: str
    queries: int
    """Those with a valid match."""
    people: int
    """Whom the queries show: queries of one person are alike, which the intervals do not know."""
    rank1: float
    mean_ap: float
    rank1_interval: tuple[float, float]
    """95 %, by bootstrap over the queries."""
    mean_ap_interval: tuple[float, float]

    @property
    def few(self) -> bool:
        """Whether there are too few queries to say much."""
        return self.queries < FEW

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        intervals = {"rank1_interval": list(self.rank1_interval), "mean_ap_interval": list(self.mean_ap_interval)}
        return {**asdict(self), **intervals, "few": self.few}


def camera_subgroups(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> tuple[Subgroup, ...]:
    """Every camera's queries against every camera's gallery, by query camera, then gallery camera.

    Pairs in which no query has a valid match are left out: where the protocol ignores a query's own camera, those of a
    camera with itself are among them.

    Raises:
        ProtocolError: if cameras are unknown, or the protocol draws galleries.
    """
    if query.camids is None or gallery.camids is None:
        raise ProtocolError("slices by camera need to know the cameras of query and gallery; name them (docs/data.md)")
    if protocol.draws:
        raise ProtocolError(
            f"protocol {protocol.name} draws galleries, which slices by camera cannot: ask for no draws"
        )
    asked = {camera: query[query.camids == camera] for camera in query.camids.unique().tolist()}
    found = []
    for camera in gallery.camids.unique().tolist():
        seen = gallery[gallery.camids == camera]
        for by, some in asked.items():
            if any(len(rows) for rows in Matches.find(some, seen, protocol).positive):
                each = evaluate_embeddings(some, seen, protocol, block_bytes=block_bytes).per_query
                assert each is not None
                found.append((by, camera, _slice("cameras", str(by), str(camera), each, torch.arange(len(each)))))
    return tuple(cell for _, _, cell in sorted(found, key=lambda row: row[:2]))


def query_subgroups(
    dimension: Dimension, group: str, labels: Sequence[str], each: QueryResults, *, order: Sequence[str]
) -> tuple[Subgroup, ...]:
    """The queries of one evaluation, divided by what is said of each.

    Args:
        labels: one a query of ``each``.
        order: of the labels; those of no query are left out.

    Raises:
        ShapeError: if labels and queries are not equally many.
        ProtocolError: if ``order`` lacks a label, whose queries would be lost.
    """
    if len(labels) != len(each):
        raise ShapeError(f"{len(each)} queries but {len(labels)} labels of {group}: one a query is needed")
    if lost := sorted(set(labels) - set(order)):
        raise ProtocolError(f"queries of {group} {', '.join(lost)} would be lost: the order names {', '.join(order)}")
    rows = {value: [row for row, label in enumerate(labels) if label == value] for value in order}
    return tuple(_slice(dimension, group, value, each, torch.tensor(some)) for value, some in rows.items() if some)


def _slice(dimension: Dimension, group: str, value: str, each: QueryResults, rows: Tensor) -> Subgroup:
    values = torch.stack([(each.first_rank[rows] == 1).double(), each.average_precision[rows]])  # (2, n)
    rank1, mean_ap = values.mean(dim=1).tolist()
    of_rank1, of_mean_ap = (tuple(ends) for ends in bootstrap_intervals(values).tolist())
    people = len(each.pids[rows].unique())
    return Subgroup(dimension, group, value, len(rows), people, rank1, mean_ap, of_rank1, of_mean_ap)


def worst_first(slices: Sequence[Subgroup]) -> list[Subgroup]:
    """Dimensions as they come; within each, by mAP and then rank-1, lowest first."""
    dimensions = list(dict.fromkeys(some.dimension for some in slices))
    return sorted(slices, key=lambda some: (dimensions.index(some.dimension), some.mean_ap, some.rank1))
