"""The registry finds its package's modules, refuses duplicates and suggests near-misses."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import passerby.registry
from passerby.errors import UnknownNameError
from passerby.registry import Registry

PACKAGE = "registry_under_test"


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A package of two modules that enter ``REGISTRY`` on import; the list of its modules imported so far."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from passerby.registry import Registry\n"
        f"REGISTRY: Registry[str] = Registry('fruit', {PACKAGE!r})\n"
        "LOADED: list[str] = []\n"
    )
    for module, name in (("second", "apple"), ("first", "melon")):
        (folder / f"{module}.py").write_text(
            f"from {PACKAGE} import LOADED, REGISTRY\n"
            f"LOADED.append({module!r})\n"
            f"REGISTRY.register({name!r})({module!r})\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module(PACKAGE).LOADED
    for name in [n for n in sys.modules if n.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def registry(loaded: list[str]) -> Registry[str]:
    found: Registry[str] = sys.modules[PACKAGE].REGISTRY
    return found


def test_names_are_sorted_and_come_from_modules_that_are_imported_then(
    registry: Registry[str], loaded: list[str]
) -> None:
    assert loaded == []
    assert list(registry) == ["apple", "melon"]
    assert registry["apple"] == "second"
    assert registry["melon"] == "first"


def test_modules_are_imported_once(registry: Registry[str], loaded: list[str]) -> None:
    for _ in range(2):
        list(registry)
    assert sorted(loaded) == ["first", "second"]


def test_register_gives_back_what_it_decorates(registry: Registry[str]) -> None:
    assert registry.register("plum")("value") == "value"
    assert registry["plum"] == "value"


def test_two_entries_of_one_name_are_errors(registry: Registry[str]) -> None:
    registry.register("plum")("one")
    with pytest.raises(ValueError, match="'plum'"):
        registry.register("plum")("two")
    assert registry["plum"] == "one"


def test_a_near_miss_is_suggested(registry: Registry[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown fruit 'aple'. Did you mean apple\?"):
        registry["aple"]


def test_a_far_miss_lists_what_there_is(registry: Registry[str]) -> None:
    with pytest.raises(UnknownNameError, match="Known: apple, melon"):
        registry["zzzzzz"]


def test_registries_share_nothing() -> None:
    one, other = (Registry[int]("number", "passerby.registry_of_nothing") for _ in range(2))
    one.register("one")(1)
    other.register("one")(1)


def test_the_registry_stays_small() -> None:
    assert len(inspect.getsource(passerby.registry).splitlines()) < 60
