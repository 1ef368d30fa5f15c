"""A dataset is a value: three tuples of samples, and the source that holds their files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

Split = Literal["train", "query", "gallery"]
UNLABELED = "images without labels"
"""The name of the images of a place that has no known layout."""
SPLITS: tuple[Split, ...] = ("train", "query", "gallery")


@dataclass(frozen=True)
class Dataset:
    """The train, query and gallery samples of one source; a split that a dataset lacks is empty."""

    name: str
    source: Source
    train: tuple[Sample, ...] = ()
    query: tuple[Sample, ...] = ()
    gallery: tuple[Sample, ...] = ()
    single_shot: bool = field(default=False, kw_only=True)
    """A flag of datasets whose own protocol draws galleries with one image per person."""
    further: tuple[Sample, ...] = field(default=(), kw_only=True)
    """The further images of the queries' people and cameras that multi-query pools, where a dataset has them."""
    aside: frozenset[str] = field(default=frozenset(), kw_only=True, repr=False)
    """The names of images that the layout leaves out of all splits on purpose (boxes of another origin)."""

    def split(self, name: Split) -> tuple[Sample, ...]:
        """Return the samples of one split.

        Raises:
            DatasetLayoutError: if it is empty.
        """
        samples: tuple[Sample, ...] = getattr(self, name)
        if not samples:
            raise DatasetLayoutError(
                f"{self.name} at {self.source.root} has no {name} images; it has {self.summary()}. "
                "Fix: give data that has them, or leave out what needs them"
            )
        return samples

    def counted(self, name: Split) -> tuple[Sample, ...]:
        """Return the samples of one split without junk, which an evaluation neither embeds nor counts.

        Raises:
            DatasetLayoutError: if the split is empty.
        """
        return tuple(sample for sample in self.split(name) if sample.role is not Role.JUNK)

    def summary(self) -> str:
        """Return the number of images and people of each split, in one line."""
        parts = []
        for name in SPLITS:
            samples: tuple[Sample, ...] = getattr(self, name)
            parts.append(f"{name} {len(samples):,} images of {len(people(samples)):,} people")
        return ", ".join(parts)


def people(samples: Iterable[Sample]) -> list[int]:
    """Return the sorted person IDs of the samples, without junk and distractors."""
    return sorted({s.pid for s in samples if s.pid is not None and s.role is Role.PERSON})


def queries_without_match(
    query: Iterable[Sample], gallery: Iterable[Sample], *, across_cameras: bool = True
) -> list[Sample]:
    """Return the queries without their person in the gallery; ``across_cameras``, the query's own does not count."""
    seen: dict[int | None, set[int | None]] = defaultdict(set)
    for sample in gallery:
        if sample.role is Role.PERSON:
            seen[sample.pid].add(sample.camid)
    return [s for s in query if not seen[s.pid] - ({s.camid} - {None} if across_cameras else set())]
