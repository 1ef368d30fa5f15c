"""Fit a :class:`~passerby.metrics.calibration.Calibration` to embeddings, and measure it on held-out people."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.metrics.calibration import Calibration
from passerby.metrics.open_set import Pairs
from passerby.metrics.pairs import pair_distances
from passerby.metrics.probability import Method, fit
from passerby.metrics.verification import fit_thresholds, measure
from passerby.retrieval.matches import roles_of
from passerby.types import Embeddings, Protocol, Role


def calibrate_embeddings(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    *,
    method: Method = "isotonic",
    seed: int = 0,
    fingerprint: str = "",
    data: str = "",
    content: str = "",
) -> Calibration:
    """Fit on all pairs of query and gallery, and on one half of the people, to measure it on the other.

    Args:
        seed: random seed of the halves.

    Raises:
        ProtocolError: if there are too few people, or :func:`~passerby.metrics.pairs.pair_distances` raises it.
        UnknownNameError: if there is no such method.
    """
    fitted, other = (_pairs_of_half(*half, protocol) for half in split_people(query, gallery, seed))
    held_out = measure(fit(fitted, method), fit_thresholds(fitted), fitted.prior, other)
    pairs = pair_distances(query, gallery, protocol)
    curve, thresholds = fit(pairs, method), fit_thresholds(pairs)
    return Calibration(
        curve, thresholds, len(pairs.same), pairs.total, protocol, fingerprint, data, content, seed, held_out
    )


def split_people(query: Embeddings, gallery: Embeddings, seed: int) -> tuple[tuple[Embeddings, Embeddings], ...]:
    """Return query and gallery of one half of the people, and of the other; each distractor falls to either half."""
    if query.pids is None or gallery.pids is None:
        raise ProtocolError("calibration needs the person IDs of query and gallery; these are unlabeled")
    draw = torch.Generator().manual_seed(seed)
    people = torch.cat([side.pids[_persons(side)] for side in (query, gallery) if side.pids is not None]).unique()
    first = people[torch.randperm(len(people), generator=draw)[: len(people) // 2]]
    masks = []
    for side in (query, gallery):
        assert side.pids is not None
        chance = torch.rand(len(side), generator=draw) < 0.5
        masks.append(torch.where(_persons(side), torch.isin(side.pids, first), chance))
    return (query[masks[0]], gallery[masks[1]]), (query[~masks[0]], gallery[~masks[1]])


def _pairs_of_half(query: Embeddings, gallery: Embeddings, protocol: Protocol) -> Pairs:
    try:
        return pair_distances(query, gallery, protocol)
    except ProtocolError as error:
        raise ProtocolError(f"one half of the people is too few to calibrate or to measure on: {error}") from None


def _persons(side: Embeddings) -> Bool[Tensor, " n"]:
    return roles_of(side) == int(Role.PERSON)
