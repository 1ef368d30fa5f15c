"""Settings of a layout: how they are written and read, what is an error, and that the program keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.registry import absolute_spec, load, open_place
from passerby.data.variants import one_of, select_settings, split_settings, whole_number
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError

KNOWN = {"protocol": one_of("new", "old"), "seed": whole_number}


@pytest.mark.parametrize(
    ("place", "settings", "path"),
    [
        ("/data/set", "", "/data/set"),
        ("protocol=old:/data/set", "protocol=old", "/data/set"),
        ("protocol=old,seed=3:data/a=b:c,d=e", "protocol=old,seed=3", "data/a=b:c,d=e"),
        ("protocol=old,seed=3", "protocol=old,seed=3", ""),
        ("protocol=:x", "protocol=", "x"),
        ("./a=b:c", "", "./a=b:c"),
        ("/data/a=b", "", "/data/a=b"),
        ("", "", ""),
    ],
)
def test_settings_stand_before_the_path(place: str, settings: str, path: str) -> None:
    assert split_settings(place) == (settings, path)


def test_values_are_read_by_what_the_layout_knows() -> None:
    assert select_settings("x", KNOWN, "protocol=old,seed=12", {}) == {"protocol": "old", "seed": 12}
    assert select_settings("x", KNOWN, "protocol=old", {"seed": 3}) == {"protocol": "old", "seed": 3}
    assert one_of("labelled", also={"labeled": "labelled"})("labeled") == "labelled"
    assert select_settings("x", KNOWN, "", {}) == {}


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("protocol=odd", {}, "protocol of x cannot be 'odd'; it is one of new, old"),
        ("seed=-1", {}, "seed of x cannot be '-1'; it is a whole number from 0"),
        ("seed=³", {}, "a whole number"),
        ("seed=", {}, "a whole number"),
        ("seed=1,seed=2", {}, "seed of x is set twice"),
        ("seed=1", {"seed": 1}, "seed of x is set twice"),
    ],
)
def test_values_that_cannot_be(text: str, given: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        select_settings("x", KNOWN, text, given)


def test_misspelt_settings_are_told_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting of x 'protocoll'\. Did you mean protocol"):
        select_settings("x", KNOWN, "protocoll=old", {})


def test_many_values_are_not_all_listed() -> None:
    with pytest.raises(ValueError, match="it is one of 0 to 19"):
        one_of(*range(20))("20")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for pid in range(1, 103):
        (tmp_path / f"{pid:04d}001.png").touch()
    return tmp_path


def test_every_way_into_the_registry_knows_them(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(f"cuhk01:test=100,seed=2:{people}").name == "cuhk01:test=100,seed=2"
    assert load(f"cuhk01:{people}", test=100, seed=2).name == "cuhk01:test=100,seed=2"
    assert load(f"cuhk01:test=100:{people}", seed=2).name == "cuhk01:test=100,seed=2"
    assert len(open_place(f"cuhk01:test=100:{people}").names()) == 102
    monkeypatch.chdir(people.parent)
    assert absolute_spec(f"cuhk01:test=100:{people.name}") == f"cuhk01:test=100:{people}"


def test_every_way_into_the_registry_refuses_what_is_not_known(people: Path) -> None:
    for ask in (load, open_place):
        with pytest.raises(UnknownNameError, match="setting of cuhk01 'sed'"):
            ask(f"cuhk01:sed=2:{people}")
        with pytest.raises(ConfigError, match="market1501 is read from files and has no settings, got protocol, split"):
            ask(f"market1501:protocol=old,split=2:{people}")
        with pytest.raises(DatasetLayoutError, match=r"say where they are, cuhk01:\[test=…,seed=…:\]PATH"):
            ask("cuhk01:test=100")


def test_a_path_that_looks_like_settings_is_a_path_if_it_exists(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(people.parent)
    people.rename("seed=2:x")
    assert load("cuhk01:seed=2:x", test=100).name == "cuhk01:test=100,seed=0"
