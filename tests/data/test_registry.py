"""Loading by name, by path, or both."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.registry import DATASETS, load
from passerby.errors import DatasetLayoutError, UnknownNameError


@pytest.fixture
def market(tmp_path: Path) -> Path:
    for name in ("bounding_box_train/0001_c1s1_000001_00.jpg", "bounding_box_test/0002_c2s1_000001_00.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    return tmp_path


def test_the_layouts() -> None:
    assert list(DATASETS) == ["csv", "folder", "market1501"]


def test_three_ways_to_say_it(market: Path) -> None:
    named, both, found = load("market1501", market), load(f"market1501:{market}"), load(str(market))
    assert named.train == both.train == found.train
    assert {d.name for d in (named, both, found)} == {"market1501"}
    assert len(found.train) == len(found.gallery) == 1


def test_the_named_layout_is_used_even_if_another_fits(market: Path) -> None:
    dataset = load(f"folder:{market}")
    assert dataset.name == "folder"
    assert len(dataset.train) == 2


def test_a_path_with_a_colon_is_a_path(market: Path) -> None:
    path = market / "folder:copy"
    path.mkdir()
    (market / "bounding_box_train").rename(path / "bounding_box_train")
    assert load(str(path)).name == "market1501"


def test_a_name_that_nobody_registered(market: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean market1501"):
        load(f"market:{market}")


def test_a_layout_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    with pytest.raises(
        DatasetLayoutError, match=r"\(1 files\) has no layout that is known here \(csv, folder, market1501\)"
    ):
        load(str(tmp_path))
