"""Queries that find themselves: refused, since they are matches whatever the model, and make every number too high."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from passerby.data.copies import Pair, dataset_self_matches, self_matches
from passerby.data.dataset import Dataset
from passerby.errors import ProtocolError
from passerby.inference.embeddings_file import StoredEmbeddings
from passerby.retrieval.distance.euclidean import to_float32
from passerby.retrieval.matches import Matches, roles_of
from passerby.types import Embeddings, Protocol, QueryGallery, Role, Sample

_LOG = logging.getLogger(__name__)
_VALUES = 16
"""The number of different values in an embedding below which equal embeddings are no sign of equal images: hash codes
repeat by themselves."""
_ROUNDING = 1e-3
"""The distance of two embeddings of one image, as a share of the gallery's spread: batches round, and float16 does."""


def check_no_copies(dataset: Dataset, protocol: Protocol) -> None:
    """Check that no query is in the gallery, under a camera that counts; the images are read, none is decoded.

    Raises:
        ProtocolError: if one is.
        DatasetLayoutError: if an image cannot be read.
    """
    pairs = dataset_self_matches(dataset, across_cameras=protocol.ignore_same_camera)
    if pairs:
        raise ProtocolError(_message(pairs, len(dataset.query), "is the same file as"))


def check_no_copied_embeddings(stored: StoredEmbeddings, sides: QueryGallery, protocol: Protocol) -> None:
    """Check that no query of a file of embeddings is in its gallery, under a camera that counts.

    An image is known by its path, where passerby wrote the file, and else by its embedding.

    Raises:
        ProtocolError: if a query is in the gallery.
    """
    query, gallery = map(_samples, sides)
    across = protocol.ignore_same_camera
    if stored.origin is not None:
        pairs = self_matches(query, gallery, lambda sample: sample.path, across_cameras=across)
        if pairs:
            raise ProtocolError(f"'{stored.file}': " + _message(pairs, len(query), "is the same file as"))
    if pairs := embedding_self_matches(sides, protocol):
        raise ProtocolError(f"'{stored.file}': " + _message(pairs, len(query), "has the same embedding as"))


def warn_copied_embeddings(sides: QueryGallery, protocol: Protocol) -> None:
    """Warn of queries that look as if they were in the gallery, in another file or format."""
    if pairs := embedding_self_matches(sides, protocol):
        _LOG.warning("%s", _message(pairs, len(sides.query), "has the same embedding as"))


def embedding_self_matches(sides: QueryGallery, protocol: Protocol) -> list[Pair]:
    """Return the queries whose embedding is, but for rounding, that of a match of theirs, each with that match.

    Rounding is measured against the spread of the gallery, so that a model that embeds all images alike has none.
    """
    query, gallery = (to_float32(side.embedding) for side in sides)
    bound = _ROUNDING * (gallery - gallery.mean(dim=0)).norm(dim=1).mean()
    found = []
    for row, columns in enumerate(Matches.find(*sides, protocol).positive):
        near = columns[(gallery[columns] - query[row]).norm(dim=1) < bound]
        if len(near) and len(query[row].unique()) >= _VALUES:
            found.append((row, int(near[0])))
    samples = [
        _samples(side[torch.tensor([pair[place] for pair in found], dtype=torch.long)])
        for place, side in enumerate(sides)
    ]
    return list(zip(*samples, strict=True))


def _samples(side: Embeddings) -> list[Sample]:
    """Return the rows as samples."""
    assert side.pids is not None  # the evaluation has checked that people are known
    cameras = [None] * len(side) if side.camids is None else side.camids.tolist()
    roles = map(Role, roles_of(side).tolist())
    rows = zip(side.paths, side.pids.tolist(), cameras, roles, strict=True)
    return [Sample(path, pid, camid, role) for path, pid, camid, role in rows]


def _message(pairs: Sequence[Pair], queries: int, relation: str) -> str:
    (query, copy), n = pairs[0], len(pairs)
    whose = "1 query finds itself" if n == 1 else f"{n:,} queries find themselves"
    cameras = "" if query.camid == copy.camid else f", of camera {query.camid} and camera {copy.camid}"
    return (
        f"{whose} in the gallery (of {queries:,} queries), a true match whatever the model: query '{query.path}' "
        f"{relation} '{copy.path}' of the gallery{cameras}. Fix: leave these images out of one of the two"
        + ("" if query.camid == copy.camid else ", or give both the same camera")
    )
