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
    digest = _digests(dataset)
    return tuple(
        self_matches(dataset.query, dataset.gallery, lambda sample: digest[sample.path], across_cameras=across_cameras)
    )


def other_labels(dataset: Dataset) -> list[Pair]:
    """Return the queries whose own file is in the gallery as another person, each with its first such copy.

    Raises:
        DatasetLayoutError: if a file cannot be read.
    """
    digest = _digests(dataset)
    gallery = _by_content(_people(dataset.gallery), lambda sample: digest[sample.path])
    found = []
    for query in _people(dataset.query):
        others = [copy for copy in gallery.get(digest[query.path], ()) if copy.pid != query.pid]
        found += [(query, copy) for copy in others[:1]]
    return found


@lru_cache(maxsize=2)
def _digests(dataset: Dataset) -> dict[str, bytes]:
    """Return what identifies the files of the people in query and gallery, by path."""
    paths = {sample.path for sample in _people((*dataset.query, *dataset.gallery))}
    return {path: dataset.source.digest(path) for path in sorted(paths)}


def _people(samples: Iterable[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.role is Role.PERSON and sample.pid is not None]
