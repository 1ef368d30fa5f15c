"""Queries that find themselves: refused, since they are matches whatever the model, and make every number too high."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from passerby.data.copies import Pair, dataset_self_matches, other_labels, self_matches
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

    A query that is in the gallery as another person is a warning: one of its labels is wrong, and its rank too low.

    Raises:
        ProtocolError: if one is.
        DatasetLayoutError: if an image cannot be read.
    """
    pairs = dataset_self_matches(dataset, across_cameras=protocol.ignore_same_camera)
    if pairs:
        raise ProtocolError(_message(pairs, len(dataset.query), "is the same file as"))
    if others := other_labels(dataset):
        (query, copy), n = others[0], len(others)
        whose = "1 query is" if n == 1 else f"{n:,} queries are"
        _LOG.warning(
            "%s",
            f"{whose} in the gallery as other people, which lowers every number: '{query.path}' (person {query.pid}) "
            f"is the same file as '{copy.path}' (person {copy.pid}). Fix: correct the labels; passerby data check "
            "lists all",
        )


def check_no_copied_embeddings(stored: StoredEmbeddings, sides: QueryGallery, protocol: Protocol) -> None:
    """Check that no query of a file of embeddings is in its gallery, under a camera that counts.

    An image is known by its path and by its embedding. In a file of another program, paths without folders may be names
    within the folders of query and gallery: there, equal ones are a warning.

    Raises:
        ProtocolError: if a query is in the gallery.
    """
    query, gallery = map(_samples, sides)
    across = protocol.ignore_same_camera
    pairs = self_matches(query, gallery, lambda sample: sample.path or id(sample), across_cameras=across)
    if pairs:
        message = f"'{stored.file}': " + _message(pairs, len(query), "is the same file as")
        if stored.origin is not None or any("/" in query.path for query, _ in pairs):
            raise ProtocolError(message)
        _LOG.warning("%s", message)
    if pairs := embedding_self_matches(sides, protocol):
        raise ProtocolError(f"'{stored.file}': " + _message(pairs, len(query), "has the same embedding as"))


def check_no_equal_embeddings(sides: QueryGallery, protocol: Protocol) -> None:
    """Check that no query's own image is in the gallery in another file or format, which its embedding tells.

    Raises:
        ProtocolError: if one is.
    """
    if pairs := embedding_self_matches(sides, protocol):
        raise ProtocolError(_message(pairs, len(sides.query), "has the same embedding as"))


def check_not_alike(sides: QueryGallery) -> None:
    """Check that the embeddings of a gallery say something: where all are equal, ranks are those of the rows.

    Raises:
        ProtocolError: if all are equal.
    """
    embedding = sides.gallery.embedding
    if bool((embedding == embedding[:1]).all()):
        raise ProtocolError(
            f"all {len(embedding):,} embeddings of the gallery are equal, so that nothing is ranked. Fix: check the "
            "images (passerby data check), and the model that embedded them"
        )


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
