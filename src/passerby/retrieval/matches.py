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
    def find(cls, query: Embeddings, gallery: Embeddings, protocol: Protocol) -> Matches:
        """Look everybody up.

        Raises:
            ProtocolError: if people are unknown, or cameras that count; for roles that there are not, and people with
                numbers below 0.
        """
        if query.pids is None or gallery.pids is None:
            raise ProtocolError("evaluation needs to know the people of query and gallery; these are unlabeled")
        if protocol.ignore_same_camera and (query.camids is None or gallery.camids is None):
            raise ProtocolError(
                f"protocol {protocol.name} ignores matches from the same camera, but the cameras are unknown; "
                "name them (see docs/data.md) or evaluate with ignore_same_camera=False"
            )
        _refuse_codes(query, "queries")
        _refuse_codes(gallery, "gallery")
        asking, seen = query.pids.cpu(), gallery.pids.cpu()
        # a code that a distractor shares with somebody does not make it that person
        people = rows_with_role(gallery, Role.PERSON)
        known, order = seen[people].sort(stable=True)
        first, last = (torch.searchsorted(known, asking, right=right) for right in (False, True))
        asks = torch.zeros(len(query), dtype=torch.bool)
        asks[rows_with_role(query, Role.PERSON)] = True
        lengths = torch.where(asks, last - first, 0)
        owner = torch.arange(len(query)).repeat_interleave(lengths)
        place = torch.arange(len(owner)) - (lengths.cumsum(0) - lengths)[owner]
        columns = people[order[first[owner] + place]]
        ignored = torch.zeros(len(owner), dtype=torch.bool)
        if protocol.ignore_same_camera and query.camids is not None and gallery.camids is not None:
            ignored = query.camids.cpu()[owner] == gallery.camids.cpu()[columns]
        positive, own_camera = (_by_query(columns[some], owner[some], len(query)) for some in (~ignored, ignored))
        return cls(positive, own_camera, rows_with_role(gallery, Role.JUNK))

    def mask_ignored(self, distances: Float[Tensor, "b g"], rows: Int[Tensor, " b"]) -> None:
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
    return people if embeddings.roles is None else embeddings.roles.cpu()


def _refuse_codes(embeddings: Embeddings, which: str) -> None:
    """Say what cannot be meant: a role that there is not, or a person with a code that data sets give to nobody."""
    roles = roles_of(embeddings)
    strange = sorted(set(roles.tolist()) - {int(role) for role in Role})
    if strange:
        raise ProtocolError(
            f"the {which} have roles {str(strange)[1:-1]}; there are {', '.join(f'{int(r)} {r.name}' for r in Role)}"
        )
    people = embeddings.pids
    nobody = 0 if people is None else int(((people.cpu() < 0) & (roles == int(Role.PERSON))).sum())
    if nobody:
        raise ProtocolError(
            f"{nobody} of {len(embeddings)} {which} are people with a number below 0, by which data sets mean junk: "
            "give them the role JUNK (Embeddings.roles), or leave them out"
        )


def _by_query(columns: Int[Tensor, " e"], owner: Int[Tensor, " e"], queries: int) -> tuple[Tensor, ...]:
    return tuple(columns.split(torch.bincount(owner, minlength=queries).tolist()))


def rows_with_role(embeddings: Embeddings, role: Role) -> Int[Tensor, " n"]:
    """Rows of one role, ascending."""
    return (roles_of(embeddings) == int(role)).nonzero().squeeze(1)
