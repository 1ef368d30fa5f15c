"""Confusion by camera: the camera of a query's first false match, and of those before its first true match.

Gallery rows count as in ranking: junk does not, nor does the query's own person by its own camera (unless the protocol
counts it). Other people by the query's own camera do count, and a model that relies on backgrounds finds them first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import BLOCK_BYTES, nearest
from passerby.retrieval.matches import Matches, block_cells, unknown_cameras
from passerby.retrieval.ranking import distance_blocks
from passerby.types import Embeddings, Protocol


class CameraConfusion(NamedTuple):
    """The matrices with one row per query camera and one column per gallery camera; shares of the row's queries."""

    query_cameras: tuple[int, ...]
    gallery_cameras: tuple[int, ...]
    queries: Int[Tensor, " a"]
    """The number of queries with a valid match."""
    first_wrong: Float[Tensor, "a s"]
    """The share of queries whose nearest false match is by this camera; a row sums to 1."""
    before: Float[Tensor, "a s"]
    """The share of queries with a false match by this camera before every true match; rows need not sum to 1."""
    gallery: Float[Tensor, " s"]
    """The camera's share of the gallery's images: the value of ``first_wrong`` by chance."""


def camera_confusion(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> CameraConfusion:
    """Count false matches by camera, with the ties of ranking: of equal distances the earlier gallery row is nearer.

    Raises:
        ProtocolError: if person or camera IDs are unknown, the protocol draws galleries, no query has a valid match,
            or a query's gallery holds no other person.
    """
    if query.camids is None or gallery.camids is None or unknown_cameras(query) + unknown_cameras(gallery):
        raise ProtocolError(
            "confusion by camera needs the camera IDs of query and gallery. Fix: name the cameras (docs/data.md)"
        )
    if protocol.draws:
        raise ProtocolError(
            f"protocol {protocol.name} draws galleries, so no query has one ranking. Fix: set draws to 0"
        )
    matches = Matches.find(query, gallery, protocol)
    cameras, column_of = gallery.camids.unique(return_inverse=True)
    rows, first, before = [], [], []
    for block_rows, distances in distance_blocks(query, gallery, protocol, block_bytes):
        matches.mask_ignored(distances, block_rows)
        valid = torch.tensor([len(matches.positive[row]) > 0 for row in block_rows.tolist()])
        if valid.any():
            own = block_cells(matches.positive, block_rows[valid], distances.device)
            found = _block(distances[valid.to(distances.device)], own, column_of.to(distances.device), len(cameras))
            rows.append(block_rows[valid])
            first.append(found[0].cpu())
            before.append(found[1].cpu())
    if not rows:
        raise ProtocolError("no query has a valid match in the gallery. Fix: `passerby data check` tells why")
    junk = torch.ones(len(gallery), dtype=torch.bool)
    junk[matches.junk] = False
    shares = torch.bincount(column_of[junk], minlength=len(cameras)).double()
    return _count(query.camids[torch.cat(rows)], cameras, torch.cat(first), torch.cat(before), shares / shares.sum())


def _block(
    distances: Float[Tensor, "b g"], own: tuple[Tensor, Tensor], column_of: Int[Tensor, " g"], cameras: int
) -> tuple[Int[Tensor, " b"], Bool[Tensor, "b s"]]:
    """Return the column of each query's first false match, and which cameras have one before the first true match."""
    right = torch.full_like(distances, torch.inf)
    right[own] = distances[own]
    nearest_right, place = nearest(right, 1)
    distances[own] = torch.inf  # only false matches remain
    by_camera, places = [], []
    for camera in range(cameras):
        columns = (column_of == camera).nonzero().squeeze(1)
        value, found = nearest(distances[:, columns], 1)
        by_camera.append(value)
        places.append(columns[found])
    value, column = torch.cat(by_camera, dim=1), torch.cat(places, dim=1)
    nearer = (value < nearest_right) | ((value == nearest_right) & (column < place))
    least = value.min(dim=1, keepdim=True).values
    if not least.isfinite().all():
        raise ProtocolError("the gallery of a query holds no other person, so there is no false match. Fix: add people")
    first = torch.where(value == least, column, len(column_of)).argmin(dim=1)
    return first, nearer


def _count(
    query_cameras: Int[Tensor, " v"],
    gallery_cameras: Int[Tensor, " s"],
    first: Int[Tensor, " v"],
    before: Bool[Tensor, "v s"],
    gallery: Float[Tensor, " s"],
) -> CameraConfusion:
    cameras, row = query_cameras.unique(return_inverse=True)
    queries = torch.bincount(row)
    zeros = torch.zeros(len(cameras), len(gallery_cameras), dtype=torch.float64)
    by_first = zeros.index_put((row, first), torch.ones(len(row), dtype=torch.float64), accumulate=True)
    by_before = zeros.index_add(0, row, before.double())
    names = tuple(cameras.tolist()), tuple(gallery_cameras.tolist())
    return CameraConfusion(*names, queries, by_first / queries[:, None], by_before / queries[:, None], gallery)
