"""The selection of the images of a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.dataset import Dataset
from passerby.data.source import DirectorySource
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError
from passerby.explain.select import select_samples
from passerby.types import Role, Sample


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    (tmp_path / "a.jpg").touch()
    return Dataset(
        "some",
        DirectorySource(tmp_path),
        query=tuple(Sample(f"query/{n}.jpg", n) for n in range(20)),
        gallery=(Sample("gallery/3.jpg", 3), Sample("gallery/x.jpg", -1, role=Role.JUNK)),
    )


def test_queries_at_random_by_seed_in_order(dataset: Dataset) -> None:
    some = select_samples(dataset, n=6)
    assert len({sample.path for sample in some}) == 6
    assert some == select_samples(dataset, n=6) != select_samples(dataset, n=6, seed=1)
    assert list(some) == sorted(some, key=dataset.query.index)
    assert len(select_samples(dataset, n=100)) == 20


def test_named_images_keep_their_order(dataset: Dataset) -> None:
    assert [s.path for s in select_samples(dataset, ["gallery/3.jpg", "7.jpg"], n=1)] == [
        "gallery/3.jpg",
        "query/7.jpg",
    ]


def test_an_unknown_or_ambiguous_name_is_an_error(dataset: Dataset) -> None:
    with pytest.raises(UnknownNameError, match=r"gallery/x\.jpg"):
        select_samples(dataset, ["gallery/y.jpg"], n=1)
    with pytest.raises(ConfigError, match=r"2 images are called 3\.jpg"):
        select_samples(dataset, ["3.jpg"], n=1)


def test_without_queries_people_of_the_gallery_are_shown(dataset: Dataset) -> None:
    assert select_samples(Dataset("some", dataset.source, gallery=dataset.gallery), n=4) == dataset.gallery[:1]
    with pytest.raises(DatasetLayoutError, match="no images of people"):
        select_samples(Dataset("some", dataset.source, gallery=dataset.gallery[1:]), n=4)
