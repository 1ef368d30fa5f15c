"""Which pictures a figure shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from passerby.data.dataset import Dataset
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError
from passerby.types import Role, Sample


def select_samples(dataset: Dataset, names: Sequence[str] = (), *, n: int, seed: int = 0) -> tuple[Sample, ...]:
    """Pictures of a data set: those that are named; else ``n`` queries, drawn at random, in the data set's order.

    Where there are no queries the gallery's people are drawn from, or else the training people.

    Args:
        names: of pictures of any split, whole or without their folders.

    Raises:
        UnknownNameError: for a name that no picture has, with those that are near.
        ConfigError: for a name that several pictures have.
        DatasetLayoutError: if nobody is to be seen.
    """
    everything = (*dataset.query, *dataset.gallery, *dataset.train, *dataset.further)
    if names:
        return tuple(_named(name, everything) for name in names)
    splits = (dataset.query, dataset.gallery, dataset.train)
    people = next((some for split in splits if (some := [s for s in split if s.role is Role.PERSON])), None)
    if people is None:
        raise DatasetLayoutError(f"{dataset.name} at {dataset.source.root} has no pictures of people to show")
    drawn = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))[:n]
    return tuple(people[place] for place in drawn.sort().values.tolist())


def _named(name: str, samples: Sequence[Sample]) -> Sample:
    by_path = {sample.path: sample for sample in samples}
    if name in by_path:
        return by_path[name]
    found = [path for path in by_path if path.endswith(f"/{name}")]
    if not found:
        raise UnknownNameError("picture", name, by_path)
    if len(found) > 1:
        raise ConfigError(f"{len(found)} pictures are called {name}, in several folders: name one, {found[0]}")
    return by_path[found[0]]
