"""Every example in a docstring is run, in every module."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import passerby

MODULES = sorted(module.name for module in pkgutil.walk_packages(passerby.__path__, "passerby."))
FEWEST = 32
"""Docstrings with examples when this test was written: they do not become fewer."""


def examples(name: str) -> list[doctest.DocTest]:
    """Return the docstrings of a module that hold examples."""
    module = importlib.import_module(name)
    if ">>>" not in Path(module.__file__ or "").read_text(encoding="utf-8"):  # the finder is slow
        return []
    return [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "passerby.__main__"])
def test_examples(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for found in examples(name):
        printed: list[str] = []
        runner.run(found, out=printed.append)
        assert not printed, "".join(printed)


def test_there_are_examples() -> None:
    number = sum(len(examples(name)) for name in MODULES if name != "passerby.__main__")
    assert number >= FEWEST
