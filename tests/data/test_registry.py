"""Loading by name, by path, or both."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.registry import DATASETS, absolute_spec, is_named, load, open_place
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError


@pytest.fixture
def market(tmp_path: Path) -> Path:
    for name in ("bounding_box_train/0001_c1s1_000001_00.jpg", "bounding_box_test/0002_c2s1_000001_00.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    return tmp_path


def test_the_layouts() -> None:
    assert list(DATASETS) == [
        *("csv", "cuhk01", "cuhk03", "dukemtmc", "folder", "market1501", "msmt17", "occluded_duke", "pedestrians")
    ]


def test_three_ways_to_say_it(market: Path) -> None:
    by_name, both, found = load("market1501", market), load(f"market1501:{market}"), load(str(market))
    assert by_name.train == both.train == found.train
    assert {d.name for d in (by_name, both, found)} == {"market1501"}
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


def test_an_unregistered_name(market: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean market1501"):
        load(f"market:{market}")


def test_an_unknown_layout(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    with pytest.raises(
        DatasetLayoutError, match=r"\(1 files\) has none of the known layouts \(csv, cuhk01, .*, occluded_duke\)"
    ):
        load(str(tmp_path))


def test_a_near_miss_without_a_colon_is_a_missing_path_that_may_have_been_a_name(tmp_path: Path) -> None:
    for ask in (load, open_place):
        with pytest.raises(DatasetLayoutError, match=r"pedestrain does not exist.*did you mean pedestrians\?"):
            ask("pedestrain")
    with pytest.raises(DatasetLayoutError) as error:
        load(str(tmp_path / "nowhere"))
    assert "did you mean" not in str(error.value)


def test_near_misses_with_settings() -> None:
    for ask in (lambda: load("pedestrain:people=6"), lambda: load("pedestrain", people=6)):
        with pytest.raises(UnknownNameError, match="Did you mean pedestrians"):
            ask()


def test_a_name_alone_does_not_say_where_files_are(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(market)  # which is not read without a path
    for spec in ("market1501", "market1501:"):
        for ask in (load, open_place):
            with pytest.raises(DatasetLayoutError, match="say where they are, market1501:PATH"):
                ask(spec)


def test_settings_are_for_generated_datasets_only(market: Path) -> None:
    for spec, root in (("market1501", market), (f"market1501:{market}", None), (str(market), None), (market, None)):
        with pytest.raises(ConfigError, match="is read from files and has no settings, got people, seed"):
            load(spec, root, people=6, seed=1)
    with pytest.raises(ConfigError, match="has no settings"):
        load("nowhere/at/all", people=6)


def test_a_path_object_is_a_path_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (is_named("pedestrians"), is_named(Path("pedestrians"))) == (True, False)
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        load(Path("pedestrians"))


def test_a_folder_that_is_called_as_a_dataset(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(market.parent)
    market.rename("pedestrians")
    assert load("pedestrians").name == "market1501", "what exists is a path"
    assert load("pedestrians", people=2).name == "pedestrians", "a path has no settings"
    assert load("pedestrians:people=2").name == "pedestrians"


def test_a_missing_path_with_a_colon_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        load(f"{tmp_path}/12:30/people")


def test_places_are_the_same_from_anywhere(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(market.parent)
    monkeypatch.setenv("HOME", str(market.parent))
    assert absolute_spec(market.name) == absolute_spec(Path(market.name)) == absolute_spec(market) == str(market)
    assert absolute_spec(f"market1501:{market.name}") == absolute_spec(f"market1501:~/{market.name}")
    assert absolute_spec(f"market1501:{market.name}") == f"market1501:{market}"
    assert absolute_spec("pedestrians:people=2") == "pedestrians:people=2"
