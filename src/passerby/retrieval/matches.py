"""Who may be found by whom, under a protocol's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.types import Embeddings, Protocol, Role


@dataclass(frozen=True, eq=False)
class Matches:
    """Of each query the gallery rows of its own person, ascending."""

    positive: tuple[Int[Tensor, " _"], ...]
    """Those to be found."""
    ignored: tuple[Int[Tensor, " _"], ...]
    """Those by the query's own camera, where that does not count."""
    junk: Int[Tensor, " j"]
    """Gallery rows that nobody looks for."""

    @classmethod
    def of(cls, query: Embeddings, gallery: Embeddings, protocol: Protocol) -> Matches:
        """Look everybody up.

        Raises:
            ProtocolError: if people are unknown, or cameras that count.
        """
        if query.pids is None or gallery.pids is None:
            raise ProtocolError("evaluation needs to know the people of query and gallery; these are unlabelled")
        if protocol.ignore_same_camera and (query.camids is None or gallery.camids is None):
            raise ProtocolError(
                f"protocol {protocol.name} ignores matches from the same camera, but the cameras are unknown; "
                "name them (see docs/data.md) or evaluate with ignore_same_camera=False"
            )
        # a code that a distractor shares with somebody does not make it that person
        people = rows_of(gallery, Role.PERSON)
        known, order = gallery.pids[people].sort(stable=True)
        first, last = (torch.searchsorted(known, query.pids, right=right) for right in (False, True))
        asks = torch.zeros(len(query), dtype=torch.bool)
        asks[rows_of(query, Role.PERSON)] = True
        lengths = torch.where(asks, last - first, 0)
        owner = torch.arange(len(query)).repeat_interleave(lengths)
        place = torch.arange(len(owner)) - (lengths.cumsum(0) - lengths)[owner]
        columns = people[order[first[owner] + place]]
        ignored = torch.zeros(len(owner), dtype=torch.bool)
        if protocol.ignore_same_camera and query.camids is not None and gallery.camids is not None:
            ignored = query.camids[owner] == gallery.camids[columns]
        positive, own_camera = (_by_query(columns[some], owner[some], len(query)) for some in (~ignored, ignored))
        return cls(positive, own_camera, rows_of(gallery, Role.JUNK))

    def forget_ignored(self, distances: Float[Tensor, "b g"], rows: Int[Tensor, " b"]) -> None:
        """Put infinitely far what takes no rank from some queries."""
        distances[:, self.junk.to(distances.device)] = torch.inf
        distances[cells(self.ignored, rows, distances.device)] = torch.inf


def cells(
    columns: Sequence[Int[Tensor, " _"]], queries: Int[Tensor, " b"], device: torch.device
) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"]]:
    """Places, in a block of distances with a row for each of some queries, of what belongs to each of them."""
    own = [columns[query] for query in queries.tolist()]
    owner = torch.arange(len(own)).repeat_interleave(torch.tensor([len(some) for some in own]))
    return owner.to(device), torch.cat(own).to(device)


def roles_of(embeddings: Embeddings) -> Int[Tensor, " n"]:
    """Of every row; where nobody said so, it is a person."""
    people = torch.full((len(embeddings),), int(Role.PERSON))
    return people if embeddings.roles is None else embeddings.roles


def _by_query(columns: Int[Tensor, " e"], owner: Int[Tensor, " e"], queries: int) -> tuple[Tensor, ...]:
    return tuple(columns.split(torch.bincount(owner, minlength=queries).tolist()))


def rows_of(embeddings: Embeddings, role: Role) -> Int[Tensor, " n"]:
    """Rows of one role, ascending."""
    return (roles_of(embeddings) == int(role)).nonzero().squeeze(1)
