"""The true matches of each query, and the gallery rows that a protocol ignores."""

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
    """The gallery rows of each query's own person, ascending."""

    positive: tuple[Int[Tensor, " _"], ...]
    """The true matches of each query."""
    ignored: tuple[Int[Tensor, " _"], ...]
    """The rows of the query's own person and camera, where the protocol ignores these."""
    junk: Int[Tensor, " j"]
    """The gallery rows that are ignored for every query."""

    @classmethod
    def find(cls, query: Embeddings, gallery: Embeddings, protocol: Protocol) -> Matches:
        """Find the true matches and the ignored rows of every query.

        Raises:
            ProtocolError: if person IDs are unknown, or camera IDs that the protocol needs (none may be below 0, which
                data sets use for unknown ones); for unknown roles, and for people with a person ID below 0.
        """
        if query.pids is None or gallery.pids is None:
            raise ProtocolError(
                "evaluation needs the person IDs of query and gallery; these are unlabeled. "
                "Fix: embed a dataset whose people are known"
            )
        if protocol.ignore_same_camera and (query.camids is None or gallery.camids is None):
            raise ProtocolError(
                f"protocol {protocol.name} ignores matches from the same camera, but the camera IDs are unknown. "
                f"{NAME_CAMERAS}"
            )
        if protocol.ignore_same_camera:
            _check_cameras(query, "queries")
            _check_cameras(gallery, "gallery images")
        _check_codes(query, "queries")
        _check_codes(gallery, "gallery")
        wanted, present = query.pids.cpu(), gallery.pids.cpu()
        # a distractor may share its pid with a person, and is no match all the same
        people = rows_with_role(gallery, Role.PERSON)
        known, order = present[people].sort(stable=True)
        first, last = (torch.searchsorted(known, wanted, right=right) for right in (False, True))
        is_person = torch.zeros(len(query), dtype=torch.bool)
        is_person[rows_with_role(query, Role.PERSON)] = True
        lengths = torch.where(is_person, last - first, 0)
        owner = torch.arange(len(query)).repeat_interleave(lengths)
        place = torch.arange(len(owner)) - (lengths.cumsum(0) - lengths)[owner]
        columns = people[order[first[owner] + place]]
        ignored = torch.zeros(len(owner), dtype=torch.bool)
        if protocol.ignore_same_camera and query.camids is not None and gallery.camids is not None:
            ignored = query.camids.cpu()[owner] == gallery.camids.cpu()[columns]
        positive, own_camera = (_split_by_query(columns[of], owner[of], len(query)) for of in (~ignored, ignored))
        return cls(positive, own_camera, rows_with_role(gallery, Role.JUNK))

    def mask_ignored(self, distances: Float[Tensor, "b g"], rows: Int[Tensor, " b"]) -> None:
        """Set the distances of the given queries to their ignored gallery rows to infinity, in place."""
        distances[:, self.junk.to(distances.device)] = torch.inf
        distances[block_cells(self.ignored, rows, distances.device)] = torch.inf


NAME_CAMERAS = (
    "Fix: name the cameras (docs/data.md), or count the matches of all cameras (evaluate --all-cameras, or "
    "Protocol(ignore_same_camera=False))"
)
"""The advice where a protocol needs cameras that are unknown."""


def block_cells(
    columns: Sequence[Int[Tensor, " _"]], queries: Int[Tensor, " b"], device: torch.device
) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"]]:
    """Return rows and columns of the cells, in a block with one row per given query, of each query's ``columns``."""
    own = [columns[query] for query in queries.tolist()]
    owner = torch.arange(len(own)).repeat_interleave(torch.tensor([len(each) for each in own]))
    return owner.to(device), torch.cat(own).to(device)


def roles_of(embeddings: Embeddings) -> Int[Tensor, " n"]:
    """Return the role of every row; embeddings without roles are all people."""
    people = torch.full((len(embeddings),), int(Role.PERSON))
    return people if embeddings.roles is None else embeddings.roles.cpu()


def rows_with_role(embeddings: Embeddings, role: Role) -> Int[Tensor, " n"]:
    """Return the rows of one role, ascending."""
    return (roles_of(embeddings) == int(role)).nonzero().squeeze(1)


def without_junk(embeddings: Embeddings) -> Embeddings:
    """Return the rows that are not junk; the same object where there is none."""
    counted = rows_that_count(embeddings)
    return embeddings if len(counted) == len(embeddings) else embeddings[counted]


def rows_that_count(embeddings: Embeddings) -> Int[Tensor, " n"]:
    """Return the rows that are not junk, ascending."""
    return (roles_of(embeddings) != int(Role.JUNK)).nonzero().squeeze(1)


def unknown_cameras(embeddings: Embeddings) -> int:
    """Return the number of images, without junk, whose camera is unknown: without an ID, or with one below 0."""
    if embeddings.camids is None:
        return len(embeddings)
    return int((embeddings.camids.cpu()[rows_that_count(embeddings)] < 0).sum())


def _check_cameras(embeddings: Embeddings, which: str) -> None:
    """Check that cameras are known: two images by unknown ones would count as images by the same camera."""
    if unknown := unknown_cameras(embeddings):
        raise ProtocolError(
            f"{unknown:,} of {len(embeddings):,} {which} have a camera ID below 0, which data sets use for an unknown "
            f"camera: they would count as images by one camera. {NAME_CAMERAS}"
        )


def _check_codes(embeddings: Embeddings, which: str) -> None:
    """Check that roles exist and that no person has a pid below 0, which data sets use for junk."""
    roles = roles_of(embeddings)
    unknown = sorted(set(roles.tolist()) - {int(role) for role in Role})
    if unknown:
        known = ", ".join(f"{int(r)} {r.name}" for r in Role)
        raise ProtocolError(f"the {which} have unknown roles: got {str(unknown)[1:-1]}, expected one of {known}")
    pids = embeddings.pids
    negative = 0 if pids is None else int(((pids.cpu() < 0) & (roles == int(Role.PERSON))).sum())
    if negative:
        raise ProtocolError(
            f"{negative} of {len(embeddings)} {which} are people with a person ID below 0, which data sets use for "
            "junk. Fix: give them the role JUNK (Embeddings.roles), or leave them out"
        )


def _split_by_query(columns: Int[Tensor, " e"], owner: Int[Tensor, " e"], queries: int) -> tuple[Tensor, ...]:
    return tuple(columns.split(torch.bincount(owner, minlength=queries).tolist()))
