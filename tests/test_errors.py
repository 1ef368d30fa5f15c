"""The errors form one tree, shown where it is defined, and their messages help."""

from __future__ import annotations

import inspect
import re

import pytest

from passerby import errors
from passerby.errors import PasserbyError, UnknownNameError


def defined() -> dict[str, type[Exception]]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name: cls for name, cls in classes if cls.__module__ == errors.__name__}


def test_all_are_passerby_errors_and_nothing_else_is_caught_with_them() -> None:
    assert all(issubclass(cls, PasserbyError) for cls in defined().values())
    assert PasserbyError.__bases__ == (Exception,)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    listed = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(["PasserbyError", *listed]) == sorted(defined())


def test_every_error_says_what_it_is_for() -> None:
    assert [name for name, cls in defined().items() if "__doc__" not in vars(cls) or not cls.__doc__] == []


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("aap_ried", ["aap_reid", "aligned_reid", "osnet_x1_0"], "Did you mean aap_reid"),
        ("resnet5", ["resnet50", "resnet18"], "Did you mean resnet50"),
        ("zzz", ["pear", "apple"], "Known: apple, pear. Fix: name --plugin FILE.py if a plugin defines it"),
        ("anything", [], "Known: none."),
        ("zzz", [f"a{i:03}" for i in range(3000)], "a049, … (3,000 in all)."),
    ],
)
def test_an_unknown_name_names_the_known_ones(name: str, known: list[str], hint: str) -> None:
    message = str(UnknownNameError("model", name, iter(known)))
    assert message.startswith(f"unknown model {name!r}. ")
    assert hint in message
