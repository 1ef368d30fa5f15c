"""Ranked lists: who stands where in a query's ranking, and whether that is right (what other toolkits call visrank).

Distances, ties and average precision are those of an evaluation under the same protocol, re-ranking included: what is
measured is what is shown. What the protocol ignores (junk; the query's own person by its own camera) takes no rank.

Attributes filter a list (AANet's Fig 8; Tay, Roy, Yap, CVPR 2019): distances stay, and pictures that are predicted
otherwise than asked for leave. Of a filtered list the average precision counts matches that left as never found.
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
from passerby.inference.attributes import predicted
from passerby.metrics.calibration import Calibration
from passerby.metrics.functional import average_precision
from passerby.retrieval.matches import Matches
from passerby.retrieval.ranking import positive_ranks, query_distances
from passerby.types import Embeddings, Protocol, Role, Verdict

DEFAULT_K = 10
Selection = Literal["best", "worst", "random"]
Outcome = Literal["true match", "false match", "junk"]


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A gallery picture in a list."""

    rank: int | None
    """Among what counts, from 1; ``None`` of junk."""
    outcome: Outcome
    """``junk``: the protocol ignores it, for being junk or of the query's own person and camera."""
    path: str
    distance: float
    pid: int
    camid: int | None = None
    rank_before: int | None = None
    """Its rank before attributes filtered the list."""
    same_person: float | None = None
    """P(same person) by the run's calibration; ``None`` without one."""
    verdict: Verdict | None = None
    """What the calibration calls it."""
    role: Role = Role.PERSON
    """Junk and distractors are nobody, whatever ``pid`` says."""


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one query finds, nearest first."""

    path: str
    pid: int
    camid: int | None
    hits: tuple[RankedHit, ...]
    ranks: tuple[int, ...]
    """Of all its matches that are left in the list, hits or not, ascending."""
    num_matches: int
    """In the whole gallery; 0: nothing is right, and the query counts nowhere."""
    average_precision: float | None
    """As the protocol has it; ``None`` without a match."""
    remaining: int
    """Pictures that count and are in the list."""
    gallery_size: int
    """Pictures that count: more than are left where attributes filtered."""
    attributes: AttributeQuery | None = None
    """What filtered it."""


def select_queries(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    which: Selection | Sequence[str] = "random",
    n: int = 5,
    *,
    seed: int = 0,
) -> Int[Tensor, " n"]:
    """Rows of some queries.

    Args:
        which: ``best`` or ``worst`` by average precision, or ``random``, among those that have a valid match; or names
            of pictures, whole or without their folders.
        n: how many, or all where there are fewer; of names every one.
        seed: of ``random``, and of who comes first among equals.

    Raises:
        ProtocolError: if no query has a valid match.
        UnknownNameError: for a name that no query has, with those that are near.
    """
    if not isinstance(which, str):
        return torch.tensor([_row_of(name, query.paths) for name in which])
    if which not in get_args(Selection):
        raise UnknownNameError("choice of queries", which, get_args(Selection))
    if n < 1:
        raise ConfigError(f"a figure of ranked lists shows at least one query, got n = {n}")
    check_no_draws(protocol)
    found = positive_ranks(query, gallery, protocol)
    shuffled = torch.randperm(len(found.queries), generator=torch.Generator().manual_seed(seed))
    if which == "random":
        return found.queries[shuffled[:n]]
    precision = average_precision(found.ranks, found.counts, protocol.average_precision)[shuffled]
    order = precision.sort(stable=True, descending=which == "best").indices
    return found.queries[shuffled[order[:n]]]


def _row_of(name: str, paths: Sequence[str]) -> int:
    found = [row for row, path in enumerate(paths) if path == name]
    found = found or [row for row, path in enumerate(paths) if path.endswith(f"/{name}")]
    if not found:
        if name in get_args(Selection):
            raise ConfigError(f"{name!r} is a choice of its own, none of several queries: give it alone, or names only")
        raise UnknownNameError("query", name, (*get_args(Selection), *paths))
    if len(found) > 1:
        raise ConfigError(f"{len(found)} queries are called {name}, in several folders: name one, {paths[found[0]]}")
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
    """What some queries find, in the order of ``rows``.

    Args:
        k: hits of a list, fewer where fewer count or are left; ``None``: ten, or all where there are fewer.
        junk: show what the protocol ignores too, among the k.
        calibration: says P(same person) of hits.
        filters: for each of the rows, attributes; who is predicted otherwise leaves its list.

    Raises:
        ProtocolError: if ``k`` is not between 1 and the gallery's length, the protocol draws galleries, labels that it
            needs are missing, or the calibration is not of such distances.
        ConfigError: if attributes are asked for and the gallery's were not predicted.
    """
    check_no_draws(protocol)
    k = min(DEFAULT_K, len(gallery)) if k is None else k
    if not 1 <= k <= len(gallery):
        raise ProtocolError(f"k must be between 1 and the gallery's {len(gallery)} images, got {k}; ask for fewer")
    if calibration and (why := calibration.mismatch(protocol)):
        raise ProtocolError(f"the calibration says nothing of these distances: {why}; leave it out")
    lister = _Lister(query, gallery, protocol, Matches.find(query, gallery, protocol), k, junk, calibration)
    asked = dict(zip(rows.tolist(), filters, strict=True)) if filters is not None else {}
    made = {
        row: lister.list(row, distances, asked.get(row))
        for row, distances in query_distances(rows, query, gallery, protocol)
    }
    return tuple(made[row] for row in rows.tolist())


@dataclass(frozen=True, eq=False)
class _Lister:
    """Makes lists of one evaluation."""

    query: Embeddings
    gallery: Embeddings
    protocol: Protocol
    matches: Matches
    k: int
    junk: bool
    calibration: Calibration | None

    def list(self, row: int, distances: Float[Tensor, " g"], asked: AttributeQuery | None) -> RankedList:
        """Of one query, by its distances to the whole gallery."""
        mask = partial(_mask, len(self.gallery))
        right = mask(self.matches.positive[row])
        counted = ~(mask(self.matches.junk) | mask(self.matches.ignored[row]))
        left = self._left(asked)
        order = distances.sort(stable=True).indices  # of equals the earlier row first, as everywhere
        before, ranks = _ranks(order, counted), _ranks(order, counted & left)
        shown = order[(left if self.junk else counted & left)[order]][: self.k]
        hits = tuple(
            self._hit(
                int(i),
                distances[i].item(),
                outcome="junk" if not counted[i] else "true match" if right[i] else "false match",
                rank=int(ranks[i]) if counted[i] else None,
                before=int(before[i]) if asked and counted[i] else None,
            )
            for i in shown
        )
        found = ranks[right & left].sort().values
        return RankedList(
            self.query.paths[row], *_labels(self.query, row), hits, tuple(found.tolist()), int(right.sum()),
            self._precision(found, int(right.sum())), int((counted & left).sum()), int(counted.sum()), asked,
        )  # fmt: skip

    def _left(self, asked: AttributeQuery | None) -> Bool[Tensor, " g"]:
        if asked is None:
            return torch.ones(len(self.gallery), dtype=torch.bool)
        if self.gallery.attributes is None:
            raise ConfigError(
                f"{asked} is asked for, but nobody predicted the gallery's attributes; use a run of a model that does: "
                "passerby train aanet --data DATA"
            )
        return predicted(self.gallery.attributes, asked)

    def _hit(self, i: int, distance: float, *, outcome: Outcome, rank: int | None, before: int | None) -> RankedHit:
        same, verdict = self.calibration.verdict(distance) if self.calibration else (None, None)
        role = Role.PERSON if self.gallery.roles is None else Role(int(self.gallery.roles[i]))
        path, (pid, camid) = self.gallery.paths[i], _labels(self.gallery, i)
        return RankedHit(rank, outcome, path, distance, pid, camid, before, same, verdict, role)

    def _precision(self, ranks: Int[Tensor, " p"], matches: int) -> float | None:
        """Those of ``matches`` that have no rank are never found."""
        if not matches or not len(ranks):
            return 0.0 if matches else None
        found = average_precision(ranks, torch.tensor([len(ranks)]), self.protocol.average_precision)
        return found.item() * len(ranks) / matches


def _mask(length: int, rows: Int[Tensor, " r"]) -> Bool[Tensor, " g"]:
    mask = torch.zeros(length, dtype=torch.bool)
    mask[rows] = True
    return mask


def _ranks(order: Int[Tensor, " g"], counted: Bool[Tensor, " g"]) -> Int[Tensor, " g"]:
    """Of every row among the counted ones; without meaning for others."""
    ranks = torch.empty_like(order)
    ranks[order] = counted[order].cumsum(0)
    return ranks


def _labels(embeddings: Embeddings, row: int) -> tuple[int, int | None]:
    assert embeddings.pids is not None  # the matches have been looked up
    return int(embeddings.pids[row]), None if embeddings.camids is None else int(embeddings.camids[row])
