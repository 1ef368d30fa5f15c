"""Ranked lists: the gallery images nearest to a query, with their ranks and outcomes (visrank in torchreid).

Distances, ties and average precision are those of an evaluation under the same protocol, re-ranking included: the
figure shows what is measured. What the protocol ignores (junk; the query's person by the query's camera) has no rank.

Attributes can filter a list (AANet's Fig 8; Tay, Roy, Yap, CVPR 2019): distances stay, and images with other predicted
attributes are removed. The average precision of a filtered list counts removed matches as never found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery
from passerby.errors import ConfigError, ProtocolError, UnknownNameError
from passerby.evaluation.per_query import check_no_draws
from passerby.inference.attributes import match_predictions
from passerby.metrics.calibration import Calibration
from passerby.metrics.functional import average_precision
from passerby.retrieval.matches import Matches
from passerby.retrieval.ranking import positive_ranks, query_distances
from passerby.types import Embeddings, Protocol, Role, Verdict

DEFAULT_K = 10
"""The default length of a list."""
Selection = Literal["best", "worst", "random"]
Outcome = Literal["true match", "false match", "junk"]


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A gallery image in a list."""

    rank: int | None
    """The rank among images that count, from 1; ``None`` for junk."""
    outcome: Outcome
    """The outcome; ``junk``: the protocol ignores it, as junk or as the query's person by the query's camera."""
    path: str
    distance: float
    pid: int
    camid: int | None = None
    rank_before: int | None = None
    """The rank before attributes filtered the list."""
    same_person: float | None = None
    """The calibrated P(same person); ``None`` without a calibration."""
    verdict: Verdict | None = None
    """The verdict of the calibration."""
    role: Role = Role.PERSON
    """The role of the image; junk and distractors have no identity, whatever ``pid`` is."""


@dataclass(frozen=True, slots=True)
class RankedList:
    """The gallery images that one query finds, nearest first."""

    path: str
    pid: int
    camid: int | None
    hits: tuple[RankedHit, ...]
    ranks: tuple[int, ...]
    """The ranks of all true matches left in the list, hits or not, ascending."""
    num_matches: int
    """The number of true matches in the whole gallery; a query with 0 is left out of every metric."""
    average_precision: float | None
    """The average precision under the protocol; ``None`` without a true match."""
    remaining: int
    """The number of images that count and are in the list."""
    gallery_size: int
    """The number of images that count, before attributes filtered the list."""
    attributes: AttributeQuery | None = None
    """The attributes that filtered the list."""


def select_queries(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    selection: Selection | Sequence[str] = "random",
    n: int = 5,
    *,
    seed: int = 0,
) -> Int[Tensor, " n"]:
    """Select queries, as rows of ``query``.

    Args:
        selection: ``best`` or ``worst`` by average precision, or ``random``, among queries with a valid match; or names
            of images, with or without their folders.
        n: number of queries, or all where there are fewer; names are all selected.
        seed: random seed of ``random``, and of the order of equal queries.

    Raises:
        ProtocolError: if no query has a valid match.
        UnknownNameError: if no query has a name; the message suggests similar ones.
    """
    if not isinstance(selection, str):
        return torch.tensor([_find_row(name, query.paths) for name in selection])
    if selection not in get_args(Selection):
        raise UnknownNameError("selection of queries", selection, get_args(Selection))
    if n < 1:
        raise ConfigError(f"a figure of ranked lists shows at least one query, got n = {n}. Fix: raise n")
    check_no_draws(protocol)
    found = positive_ranks(query, gallery, protocol)
    shuffled = torch.randperm(len(found.queries), generator=torch.Generator().manual_seed(seed))
    if selection == "random":
        return found.queries[shuffled[:n]]
    precision = average_precision(found.ranks, found.counts, protocol.average_precision)[shuffled]
    order = precision.sort(stable=True, descending=selection == "best").indices
    return found.queries[shuffled[order[:n]]]


def _find_row(name: str, paths: Sequence[str]) -> int:
    found = [row for row, path in enumerate(paths) if path == name]
    found = found or [row for row, path in enumerate(paths) if path.endswith(f"/{name}")]
    if not found:
        if name in get_args(Selection):
            raise ConfigError(f"{name!r} cannot be combined with names of queries. Fix: give it alone, or only names")
        raise UnknownNameError("query", name, (*get_args(Selection), *paths))
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} queries are called {name}, in several folders. Fix: name one, {paths[found[0]]}"
        )
    return found[0]


def ranked_lists(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    rows: Int[Tensor, " n"],
    *,
    k: int | None = None,
    junk: bool = False,
    calibration: Calibration | None = None,
    filters: Sequence[AttributeQuery] | None = None,
) -> tuple[RankedList, ...]:
    """Return the ranked lists of some queries, in the order of ``rows``.

    Args:
        k: length of a list, fewer where fewer images count or are left; ``None``: ten, or all where there are fewer.
        junk: whether the k hits include what the protocol ignores.
        calibration: gives P(same person) of each hit.
        filters: attributes for each of the rows; images with other predicted attributes leave the list.

    Raises:
        ProtocolError: if ``k`` is not between 1 and the gallery's length, the protocol draws galleries, it needs labels
            that are missing, or the calibration is for other distances.
        ConfigError: if ``filters`` are given and the gallery has no predicted attributes.
    """
    check_no_draws(protocol)
    k = min(DEFAULT_K, len(gallery)) if k is None else k
    if not 1 <= k <= len(gallery):
        raise ProtocolError(
            f"k must be between 1 and the gallery's {len(gallery)} images, got {k}. Fix: choose another k"
        )
    if calibration and (why := calibration.mismatch(protocol)):
        raise ProtocolError(f"the calibration is for other distances: {why}. Fix: leave it out")
    lister = _Lister(query, gallery, protocol, Matches.find(query, gallery, protocol), k, junk, calibration)
    filter_of = dict(zip(rows.tolist(), filters, strict=True)) if filters is not None else {}
    made = {
        row: lister.list(row, distances, filter_of.get(row))
        for row, distances in query_distances(rows, query, gallery, protocol)
    }
    return tuple(made[row] for row in rows.tolist())


@dataclass(frozen=True, eq=False)
class _Lister:
    """The maker of the lists of one evaluation."""

    query: Embeddings
    gallery: Embeddings
    protocol: Protocol
    matches: Matches
    k: int
    junk: bool
    calibration: Calibration | None

    def list(self, row: int, distances: Float[Tensor, " g"], attributes: AttributeQuery | None) -> RankedList:
        """Make the list of one query from its distances to the whole gallery."""
        mask = partial(_mask, len(self.gallery))
        true = mask(self.matches.positive[row])
        counted = ~(mask(self.matches.junk) | mask(self.matches.ignored[row]))
        left = self._left(attributes)
        order = distances.sort(stable=True).indices  # of equals the earlier row first, as everywhere
        before, ranks = _ranks(order, counted), _ranks(order, counted & left)
        listed = (left if self.junk else counted & left) & distances.isfinite()  # re-ranking has no distance of junk
        shown = order[listed[order]][: self.k]
        hits = tuple(
            self._hit(
                int(i),
                distances[i].item(),
                outcome="junk" if not counted[i] else "true match" if true[i] else "false match",
                rank=int(ranks[i]) if counted[i] else None,
                before=int(before[i]) if attributes and counted[i] else None,
            )
            for i in shown
        )
        found = ranks[true & left].sort().values
        return RankedList(
            self.query.paths[row], *_labels(self.query, row), hits, tuple(found.tolist()), int(true.sum()),
            self._precision(found, int(true.sum())), int((counted & left).sum()), int(counted.sum()), attributes,
        )  # fmt: skip

    def _left(self, attributes: AttributeQuery | None) -> Bool[Tensor, " g"]:
        if attributes is None:
            return torch.ones(len(self.gallery), dtype=torch.bool)
        if self.gallery.attributes is None:
            raise ConfigError(
                f"the gallery has no predicted attributes to filter by {attributes}. Fix: use a run of a model that "
                "predicts them: passerby train aanet --data DATA"
            )
        return match_predictions(self.gallery.attributes, attributes)

    def _hit(self, i: int, distance: float, *, outcome: Outcome, rank: int | None, before: int | None) -> RankedHit:
        same, verdict = self.calibration.verdict(distance) if self.calibration else (None, None)
        role = Role.PERSON if self.gallery.roles is None else Role(int(self.gallery.roles[i]))
        path, (pid, camid) = self.gallery.paths[i], _labels(self.gallery, i)
        return RankedHit(rank, outcome, path, distance, pid, camid, before, same, verdict, role)

    def _precision(self, ranks: Int[Tensor, " p"], matches: int) -> float | None:
        """Return the average precision; matches without a rank count as never found."""
        if not matches or not len(ranks):
            return 0.0 if matches else None
        found = average_precision(ranks, torch.tensor([len(ranks)]), self.protocol.average_precision)
        return found.item() * len(ranks) / matches


def _mask(length: int, rows: Int[Tensor, " r"]) -> Bool[Tensor, " g"]:
    mask = torch.zeros(length, dtype=torch.bool)
    mask[rows] = True
    return mask


def _ranks(order: Int[Tensor, " g"], counted: Bool[Tensor, " g"]) -> Int[Tensor, " g"]:
    """Return the rank of every row among the counted rows; it has no meaning for other rows."""
    ranks = torch.empty_like(order)
    ranks[order] = counted[order].cumsum(0)
    return ranks


def _labels(embeddings: Embeddings, row: int) -> tuple[int, int | None]:
    assert embeddings.pids is not None  # the matches have been looked up
    return int(embeddings.pids[row]), None if embeddings.camids is None else int(embeddings.camids[row])
