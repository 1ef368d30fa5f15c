"""The single-shot protocol, by which CUHK03 was first evaluated (Li et al., CVPR 2014): one gallery image per person.

For every camera of the queries a gallery is drawn: one image of each person by another camera. The CMC is averaged
over many draws. Average precision adds nothing to the rank of the one match, and is not computed. Distractors, which
such data does not have, all stay.

A gallery of 100 people thus has 100 images, as papers describe it. If one image of each person and camera were drawn
instead, every other person would be there twice, once by the query's own camera.
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
from passerby.retrieval.matches import roles_of, unknown_cameras
from passerby.retrieval.ranking import positive_ranks
from passerby.types import Embeddings, Protocol, Role

SINGLE_SHOT = "cuhk03-single-shot"
NO_DRAWS = (
    "random single-shot galleries are drawn from other cameras than the query's, so they need cameras that count. "
    "Fix: leave out --all-cameras (ignore_same_camera=False), or give --draws 0"
)
"""The error where galleries are to be drawn, but the matches of all cameras count."""
DRAWS = 100
"""The usual number of draws."""
MAX_DRAWS = 10_000
"""The largest number of draws: the mean of as many has a hundredth of one draw's deviation."""


class Candidates(NamedTuple):
    """The candidates for the galleries of one query camera."""

    query: Int[Tensor, " v"]
    """The rows of the queries whose person can be found."""
    gallery: Int[Tensor, " g"]
    """The gallery rows that may be drawn: people by other cameras, and distractors."""
    groups: Int[Tensor, " g"]
    """The group of each of these rows: one group per person, and one per distractor."""


class SingleShot(NamedTuple):
    """The outcome of all draws."""

    curves: Float[Tensor, "draws k"]
    """The CMC of each draw."""
    queries: int
    gallery: dict[int, int]
    """The number of gallery images for the queries of each camera."""


def single_shot(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, max_rank: int, block_bytes: int = BLOCK_BYTES
) -> SingleShot:
    """Return the CMC of ``protocol.draws`` galleries, drawn with ``protocol.seed``.

    Raises:
        ProtocolError: if camera IDs are unknown or do not count, or no query has a valid match.
    """
    by_camera = candidates_by_camera(query, gallery, protocol)
    sizes = {camera: len(candidates.groups.unique()) for camera, candidates in by_camera.items()}
    curves = []
    for draw in range(protocol.draws):
        generator = Generator().manual_seed(protocol.seed * 1_000_003 + draw)
        ranks = [
            positive_ranks(query[candidates.query], gallery[rows], protocol, block_bytes=block_bytes).ranks
            for candidates, rows in draw_galleries(by_camera, generator)
        ]
        found = torch.cat(ranks)
        curves.append(cmc(found, torch.ones_like(found), min(max_rank, max(sizes.values()))))
    queries = sum(len(candidates.query) for candidates in by_camera.values())
    return SingleShot(torch.stack(curves), queries, sizes)


def draw_galleries(
    by_camera: dict[int, Candidates], generator: Generator
) -> Iterator[tuple[Candidates, Int[Tensor, " n"]]]:
    """Yield, for each camera, the gallery rows of one draw, ascending."""
    for candidates in by_camera.values():
        yield candidates, candidates.gallery[sample_one_per_group(candidates.groups, generator)]


def sample_one_per_group(groups: Int[Tensor, " n"], generator: Generator) -> Int[Tensor, " k"]:
    """Return one index of each group, drawn uniformly; ascending."""
    order = torch.randperm(len(groups), generator=generator)
    group, place = groups[order].sort(stable=True)
    first = torch.ones(len(group), dtype=torch.bool)
    first[1:] = group[1:] != group[:-1]
    chosen: Tensor = order[place[first]].sort().values
    return chosen


def candidates_by_camera(query: Embeddings, gallery: Embeddings, protocol: Protocol) -> dict[int, Candidates]:
    """Return the candidates of each query camera that has queries whose person can be found.

    Raises:
        ProtocolError: if camera or person IDs are unknown, cameras do not count, or no query has a valid match.
    """
    if not protocol.ignore_same_camera:
        raise ProtocolError(NO_DRAWS)
    if query.camids is None or gallery.camids is None or unknown_cameras(query) + unknown_cameras(gallery):
        raise ProtocolError(
            f"protocol {protocol.name} draws galleries from other cameras than the query's, but camera IDs are unknown "
            "(missing, or below 0). Fix: name the cameras (docs/data.md), or give --draws 0"
        )
    if query.pids is None or gallery.pids is None:
        raise ProtocolError("evaluation needs the person IDs of query and gallery; these are unlabeled")
    is_person, roles = roles_of(query) == int(Role.PERSON), roles_of(gallery)
    found = {}
    for camera in query.camids.unique().tolist():
        rows = ((gallery.camids != camera) & (roles != int(Role.JUNK))).nonzero().squeeze(1)
        distractors = roles[rows] == int(Role.DISTRACTOR)
        _, groups = gallery.pids[rows].unique(return_inverse=True)
        groups = torch.where(distractors, len(rows) + torch.arange(len(rows)), groups)
        known = torch.isin(query.pids, gallery.pids[rows[~distractors]])
        valid = (is_person & known & (query.camids == camera)).nonzero().squeeze(1)
        if len(valid):
            found[camera] = Candidates(valid, rows, groups)
    if not found:
        positive_ranks(query, gallery, protocol)  # raises the more specific errors
        raise ProtocolError("no query's person is seen by another camera in the gallery")
    return found
