"""The images that a figure shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from passerby.data.dataset import Dataset
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError
from passerby.types import Role, Sample


def select_samples(dataset: Dataset, names: Sequence[str] = (), *, n: int, seed: int = 0) -> tuple[Sample, ...]:
    """Select the images called ``names``; without names, ``n`` random queries in the order of the data set.

    Without queries, images of persons are drawn from the gallery, or else from the training set.

    Args:
        names: names of images of any split, with or without their folders.

    Raises:
        UnknownNameError: if no image has a name; the message suggests similar ones.
        ConfigError: if several images share a name.
        DatasetLayoutError: if the data set has no image of a person.
    """
    everything = (*dataset.query, *dataset.gallery, *dataset.train, *dataset.further)
    if names:
        return tuple(_find(name, everything) for name in names)
    splits = (dataset.query, dataset.gallery, dataset.train)
    people = next((found for split in splits if (found := [s for s in split if s.role is Role.PERSON])), None)
    if people is None:
        raise DatasetLayoutError(
            f"{dataset.name} at {dataset.source.root} has no images of people to show. Fix: give other data"
        )
    drawn = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))[:n]
    return tuple(people[place] for place in drawn.sort().values.tolist())


def _find(name: str, samples: Sequence[Sample]) -> Sample:
    by_path = {sample.path: sample for sample in samples}
    if name in by_path:
        return by_path[name]
    found = [path for path in by_path if path.endswith(f"/{name}")]
    if not found:
        raise UnknownNameError("image", name, by_path)
    if len(found) > 1:
        raise ConfigError(f"{len(found)} images are called {name}, in several folders. Fix: name one, {found[0]}")
    return by_path[found[0]]
