"""Queries that find themselves: one image that is query and gallery at once, and counts as a match of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache

from passerby.data.dataset import Dataset
from passerby.types import Role, Sample

Pair = tuple[Sample, Sample]
"""A query and a gallery sample."""


def self_matches(
    query: Iterable[Sample],
    gallery: Iterable[Sample],
    content: Callable[[Sample], Hashable],
    *,
    across_cameras: bool = True,
) -> list[Pair]:
    """Return the queries whose own image is a match of theirs in the gallery, each with its first such copy.

    Args:
        content: identifies an image: its path, or the digest of its file. It is called only for people in both.
        across_cameras: the protocol ignores the images of a query's own camera, copies of the query among them.
    """
    people: dict[int | None, list[Sample]] = defaultdict(list)
    for sample in _people(gallery):
        people[sample.pid].append(sample)
    found, known = [], dict[int | None, dict[Hashable, list[Sample]]]()
    for sample in _people(query):
        if sample.pid not in people:
            continue
        if sample.pid not in known:
            known[sample.pid] = _by_content(people[sample.pid], content)
        copies = known[sample.pid].get(content(sample), ())
        if counted := [copy for copy in copies if not across_cameras or copy.camid != sample.camid]:
            found.append((sample, counted[0]))
    return found


def _by_content(samples: Iterable[Sample], content: Callable[[Sample], Hashable]) -> dict[Hashable, list[Sample]]:
    groups: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[content(sample)].append(sample)
    return groups


@lru_cache(maxsize=8)
def dataset_self_matches(dataset: Dataset, *, across_cameras: bool = True) -> tuple[Pair, ...]:
    """Return the :func:`self_matches` of a dataset by the content of its files; each dataset is read once.

    Raises:
        DatasetLayoutError: if a file cannot be read.
    """
    return tuple(self_matches(dataset.query, dataset.gallery, _digest(dataset), across_cameras=across_cameras))


@lru_cache(maxsize=8)
def other_labels(dataset: Dataset) -> tuple[Pair, ...]:
    """Return the queries whose own file is in the gallery as another person, each with its first such copy.

    Raises:
        DatasetLayoutError: if a file cannot be read.
    """
    digest = _digest(dataset)
    gallery = _by_content(_people(dataset.gallery), digest)
    found = []
    for query in _people(dataset.query):
        others = [copy for copy in gallery.get(digest(query), ()) if copy.pid != query.pid]
        found += [(query, copy) for copy in others[:1]]
    return tuple(found)


@lru_cache(maxsize=2)
def _digest(dataset: Dataset) -> Callable[[Sample], bytes]:
    """Return a function that gives what identifies a sample's file, and reads each file once."""
    known: dict[str, bytes] = {}

    def digest(sample: Sample) -> bytes:
        if sample.path not in known:
            known[sample.path] = dataset.source.digest(sample.path)
        return known[sample.path]

    return digest


def _people(samples: Iterable[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.role is Role.PERSON and sample.pid is not None]
