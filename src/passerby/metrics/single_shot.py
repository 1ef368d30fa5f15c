"""Single gallery shot, as CUHK03 was first evaluated (Li et al., CVPR 2014): one picture of each person to find.

For every camera of the queries a gallery is drawn: of each person one picture by another camera. Its CMC is averaged
over many draws. Average precision says nothing beyond the rank of the one match, and is not given. Distractors, which
such data has not, all stay.

So a gallery of 100 people has 100 pictures, as papers say of it. Were one of each person and camera drawn instead,
every stranger would stand there twice, once by the query's own camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from passerby.errors import ProtocolError
from passerby.metrics.functional import cmc
from passerby.retrieval.distance.compare import BLOCK_BYTES
from passerby.retrieval.matches import roles_of
from passerby.retrieval.ranking import positive_ranks
from passerby.types import Embeddings, Protocol, Role

SINGLE_SHOT = "cuhk03-single-shot"
DRAWS = 100
"""As is usual."""


class Candidates(NamedTuple):
    """What the queries of one camera are looked for in."""

    query: Int[Tensor, " v"]
    """Rows of the queries whose person can be found."""
    gallery: Int[Tensor, " g"]
    """Rows that may be drawn: people seen by other cameras, and distractors."""
    groups: Int[Tensor, " g"]
    """Rows of one group show the same person; a distractor is a group of its own."""


class SingleShot(NamedTuple):
    """Outcome of all draws."""

    curves: Float[Tensor, "draws k"]
    """CMC of each draw."""
    queries: int
    gallery: dict[int, int]
    """Pictures that the queries of each camera are looked for in."""


def single_shot(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, max_rank: int, block_bytes: int = BLOCK_BYTES
) -> SingleShot:
    """CMC of ``protocol.draws`` galleries, which ``protocol.seed`` decides.

    Raises:
        ProtocolError: if cameras are unknown or do not count, or no query has a valid match.
    """
    shots = candidates_by_camera(query, gallery, protocol)
    sizes = {camera: len(some.groups.unique()) for camera, some in shots.items()}
    curves = []
    for draw in range(protocol.draws):
        generator = Generator().manual_seed(protocol.seed * 1_000_003 + draw)
        ranks = [
            positive_ranks(query[some.query], gallery[rows], protocol, block_bytes=block_bytes).ranks
            for some, rows in draw_galleries(shots, generator)
        ]
        found = torch.cat(ranks)
        curves.append(cmc(found, torch.ones_like(found), min(max_rank, max(sizes.values()))))
    return SingleShot(torch.stack(curves), sum(len(some.query) for some in shots.values()), sizes)


def draw_galleries(
    shots: dict[int, Candidates], generator: Generator
) -> Iterator[tuple[Candidates, Int[Tensor, " n"]]]:
    """For each camera the gallery rows of one draw, ascending."""
    for some in shots.values():
        yield some, some.gallery[sample_one_per_group(some.groups, generator)]


def sample_one_per_group(groups: Int[Tensor, " n"], generator: Generator) -> Int[Tensor, " k"]:
    """A place of each group, any of its places as likely as another; ascending."""
    order = torch.randperm(len(groups), generator=generator)
    group, place = groups[order].sort(stable=True)
    first = torch.ones(len(group), dtype=torch.bool)
    first[1:] = group[1:] != group[:-1]
    chosen: Tensor = order[place[first]].sort().values
    return chosen


def candidates_by_camera(query: Embeddings, gallery: Embeddings, protocol: Protocol) -> dict[int, Candidates]:
    """What may be drawn for the queries of each camera that has any whose person can be found."""
    if query.camids is None or gallery.camids is None or not protocol.ignore_same_camera:
        raise ProtocolError(
            f"protocol {protocol.name} looks for people in other cameras' pictures: name the cameras (see "
            "docs/data.md), and leave ignore_same_camera as it is"
        )
    if query.pids is None or gallery.pids is None:
        raise ProtocolError("evaluation needs to know the people of query and gallery; these are unlabeled")
    asks, roles = roles_of(query) == int(Role.PERSON), roles_of(gallery)
    found = {}
    for camera in query.camids.unique().tolist():
        rows = ((gallery.camids != camera) & (roles != int(Role.JUNK))).nonzero().squeeze(1)
        strangers = roles[rows] == int(Role.DISTRACTOR)
        _, groups = gallery.pids[rows].unique(return_inverse=True)
        groups = torch.where(strangers, len(rows) + torch.arange(len(rows)), groups)
        known = torch.isin(query.pids, gallery.pids[rows[~strangers]])
        who = (asks & known & (query.camids == camera)).nonzero().squeeze(1)
        if len(who):
            found[camera] = Candidates(who, rows, groups)
    if not found:
        positive_ranks(query, gallery, protocol)  # says what is wrong with them
        raise ProtocolError("no query's person is seen by another camera in the gallery")
    return found
