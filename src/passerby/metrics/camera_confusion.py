"""Which camera misleads? Where a query's first wrong answer lies, and who stands before the first right one.

Who counts is as in ranking: junk does not, nor does the query's own person by its own camera (unless the protocol says
so). Other people by the query's own camera do count, and a model that looks at backgrounds finds them first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.errors import ProtocolError
from passerby.retrieval.distance.compare import BLOCK_BYTES, nearest
from passerby.retrieval.matches import Matches, block_cells
from passerby.retrieval.ranking import distance_blocks
from passerby.types import Embeddings, Protocol


class CameraConfusion(NamedTuple):
    """A row a camera of queries, a column a camera of the gallery; shares in [0, 1] of the row's queries."""

    query_cameras: tuple[int, ...]
    gallery_cameras: tuple[int, ...]
    queries: Int[Tensor, " a"]
    """Those with a valid match."""
    first_wrong: Float[Tensor, "a s"]
    """Whose nearest wrong answer is by this camera; a row adds up to 1."""
    before: Float[Tensor, "a s"]
    """Who have somebody else by this camera before every right answer; a row adds up to anything."""
    gallery: Float[Tensor, " s"]
    """This camera's share of the gallery's pictures: chance would find the first wrong answer so."""


def camera_confusion(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, *, block_bytes: int = BLOCK_BYTES
) -> CameraConfusion:
    """Count, with the ties of ranking: of equal distances the earlier gallery row is nearer.

    Raises:
        ProtocolError: if people or cameras are unknown, the protocol draws galleries, no query has a valid match, or
            there is nobody else to be confused with.
    """
    if query.camids is None or gallery.camids is None:
        raise ProtocolError("confusion by camera needs the cameras of query and gallery; name them (docs/data.md)")
    if protocol.draws:
        raise ProtocolError(f"protocol {protocol.name} draws galleries, so no query has one ranking: ask for no draws")
    matches = Matches.find(query, gallery, protocol)
    seen, column_of = gallery.camids.unique(return_inverse=True)
    rows, first, before = [], [], []
    for some, distances in distance_blocks(query, gallery, protocol, block_bytes):
        matches.mask_ignored(distances, some)
        valid = torch.tensor([len(matches.positive[row]) > 0 for row in some.tolist()])
        if valid.any():
            own = block_cells(matches.positive, some[valid], distances.device)
            found = _block(distances[valid.to(distances.device)], own, column_of.to(distances.device), len(seen))
            rows.append(some[valid])
            first.append(found[0].cpu())
            before.append(found[1].cpu())
    if not rows:
        raise ProtocolError("no query has a valid match in the gallery; `passerby data check` says why")
    junk = torch.ones(len(gallery), dtype=torch.bool)
    junk[matches.junk] = False
    shares = torch.bincount(column_of[junk], minlength=len(seen)).double()
    return _counted(query.camids[torch.cat(rows)], seen, torch.cat(first), torch.cat(before), shares / shares.sum())


def _block(
    distances: Float[Tensor, "b g"], own: tuple[Tensor, Tensor], column_of: Int[Tensor, " g"], cameras: int
) -> tuple[Int[Tensor, " b"], Bool[Tensor, "b s"]]:
    """The column of each query's first wrong answer, and of which cameras one stands before the first right one."""
    right = torch.full_like(distances, torch.inf)
    right[own] = distances[own]
    nearest_right, place = nearest(right, 1)
    distances[own] = torch.inf  # what is left is wrong
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
        raise ProtocolError("a query's gallery holds nobody else, so there is no wrong answer; give more people")
    first = torch.where(value == least, column, len(column_of)).argmin(dim=1)
    return first, nearer


def _counted(
    asked_of: Int[Tensor, " v"],
    seen: Int[Tensor, " s"],
    first: Int[Tensor, " v"],
    before: Bool[Tensor, "v s"],
    gallery: Float[Tensor, " s"],
) -> CameraConfusion:
    asked, row = asked_of.unique(return_inverse=True)
    queries = torch.bincount(row)
    zeros = torch.zeros(len(asked), len(seen), dtype=torch.float64)
    by_first = zeros.index_put((row, first), torch.ones(len(row), dtype=torch.float64), accumulate=True)
    misled = zeros.index_add(0, row, before.double())
    cameras = tuple(asked.tolist()), tuple(seen.tolist())
    return CameraConfusion(*cameras, queries, by_first / queries[:, None], misled / queries[:, None], gallery)
