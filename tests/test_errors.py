"""The errors form one tree, shown where it is defined, and their messages help."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

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
        (
            "zzz",
            ["pear", "apple"],
            "Known: apple, pear. Fix: choose one of these, or name --plugin FILE.py if a plugin defines it",
        ),
        ("anything", [], "Known: none. Fix: leave it out"),
        ("zzz", [f"a{i:03}" for i in range(3000)], "a049, … (3,000 in all)."),
    ],
)
def test_an_unknown_name_names_the_known_ones(name: str, known: list[str], hint: str) -> None:
    message = str(UnknownNameError("model", name, iter(known)))
    assert message.startswith(f"unknown model {name!r}. ")
    assert hint in message


REACHED = (
    *("cli", "config.py", "files.py", "data/archive.py", "data/source.py", "data/images", "data/datasets/csv.py"),
    *("data/datasets/folder.py", "inference/load.py", "inference/former_formats.py", "weights", "export"),
)
"""The modules whose errors a wrong input at the command line meets most."""
GIVEN = {
    ("cli/commands/adapt.py", "what"),
    ("files.py", "otherwise"),
    ("data/source.py", "f'{self.root}: {error}'"),
    ("weights/read.py", "_unpickled(path, str(error))"),
}
"""The messages that another function or caller writes, fix included."""


def raised(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the messages that a module raises errors of this package with, as source and as plain text."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            if node.func.id in defined():
                yield ast.unparse(node.args[0]), "".join(text for text in texts if isinstance(text, str))


@pytest.mark.parametrize("place", REACHED)
def test_errors_that_users_meet_name_a_fix(place: str) -> None:
    package = Path(errors.__file__).parent
    files = sorted((package / place).rglob("*.py")) or [package / place]
    found = [(str(file.relative_to(package)), *message) for file in files for message in raised(file)]
    assert found
    without = [each[:2] for each in found if not re.search("Fix: |_ARRANGE|_with_fix", each[1] + each[2])]
    assert set(without) <= GIVEN
