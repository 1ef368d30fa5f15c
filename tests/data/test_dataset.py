"""Datasets as values: empty splits are errors, counts are of people, matches are found without images."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.dataset import Dataset, people, queries_without_match
from passerby.data.source import DirectorySource
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample


def test_an_empty_split_is_an_error_with_what_there_is(tmp_path: Path) -> None:
    dataset = Dataset("mine", DirectorySource(tmp_path), train=(Sample("a", 1, 1), Sample("b", 1, 2)))
    assert len(dataset.split("train")) == 2
    with pytest.raises(DatasetLayoutError, match=r"mine at .* has no query images; it has train 2 images of 1 people"):
        dataset.split("query")


def test_junk_and_distractors_have_no_identity() -> None:
    samples = [Sample("a", 5, 1), Sample("b", -1, 1, Role.JUNK), Sample("c", 0, 1, Role.DISTRACTOR), Sample("d")]
    assert people(samples) == [5]


def test_a_match_is_the_same_person_by_another_camera() -> None:
    gallery = [Sample("g1", 1, 1), Sample("g2", 2, 2), Sample("g3", 3, 2, Role.DISTRACTOR), Sample("g4", 4, None)]
    query = [Sample("q1", 1, 1), Sample("q2", 2, 1), Sample("q3", 3, 1), Sample("q4", 4, None), Sample("q5", 9, 1)]
    assert [s.path for s in queries_without_match(query, gallery)] == ["q1", "q3", "q5"]
    assert [s.path for s in queries_without_match(query, gallery, across_cameras=False)] == ["q3", "q5"]
