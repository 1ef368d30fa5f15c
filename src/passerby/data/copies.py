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
    people: dict[int, list[Sample]] = defaultdict(list)
    for sample in gallery:
        if sample.role is Role.PERSON and sample.pid is not None:
            people[sample.pid].append(sample)
    found, known = [], dict[int, dict[Hashable, list[Sample]]]()
    for sample in query:
        if sample.role is not Role.PERSON or sample.pid not in people:
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
    source = dataset.source
    return tuple(
        self_matches(
            dataset.query, dataset.gallery, lambda sample: source.digest(sample.path), across_cameras=across_cameras
        )
    )
