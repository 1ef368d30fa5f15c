"""A command is one file: it registers itself, and the program finds it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from passerby.cli import registry
from passerby.cli.app import build_app

FOLDER = Path(registry.__file__).parent
FILES = sorted(
    file for name in ("commands", "figures") for file in (FOLDER / name).rglob("*.py") if file.name != "__init__.py"
)
HELPERS = {"embedding_options", "model_options", "sample_options"}
"""The modules of figure commands that hold what several of them need."""


@pytest.fixture
def _registry_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test registers."""
    monkeypatch.setattr(registry, "_COMMANDS", dict(registry._COMMANDS))


@pytest.mark.usefixtures("_registry_as_before")
def test_a_new_file_is_a_new_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_commands"
    (package / "deeper").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "hello.py").write_text(
        "from passerby.cli.registry import Panel, command\n\n\n"
        '@command("hello", panel=Panel.START, order=-1, needs_arguments=False)\n'
        'def hello(name: str = "you") -> None:\n    """Say hello."""\n    print("hello", name)\n'
    )
    (package / "deeper" / "__init__.py").write_text(
        'from passerby.cli.registry import group\n\ngroup("deeper", help="More.")\n'
    )
    (package / "deeper" / "bye.py").write_text(
        "from passerby.cli.registry import command\n\n\n"
        '@command("bye", group="deeper", needs_arguments=False)\n'
        'def bye() -> None:\n    """Say bye."""\n    print("bye")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "PACKAGES", (*registry.PACKAGES, "my_commands"))
    program = build_app()
    assert CliRunner().invoke(program, ["hello", "--name", "me"]).stdout == "hello me\n"
    assert CliRunner().invoke(program, ["deeper", "bye"]).stdout == "bye\n"
    shown = CliRunner().invoke(program, ["--help"]).stdout
    assert shown.index("│ hello ") < shown.index("│ demo ") < shown.index("│ search ")
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_commands"]:
        del sys.modules[name]


@pytest.mark.usefixtures("_registry_as_before")
def test_a_taken_name_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="two commands are called 'train'"):
        registry.command("train")(print)
    with pytest.raises(ValueError, match="two commands are called 'data'"):
        registry.group("data", help="again")
    registry.command("train", group="data")(print)


@pytest.mark.parametrize("file", FILES, ids=[file.relative_to(FOLDER).as_posix() for file in FILES])
def test_a_file_holds_one_command(file: Path) -> None:
    decorated = [
        decorator
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "command"
    ]
    assert len(decorated) == (0 if file.stem in HELPERS else 1)


def test_the_commands_stand_under_their_headings_in_order() -> None:
    places = [entry.place for entry in registry.entries() if entry.group is None]
    assert places == sorted(places)
    assert all(entry.panel for entry in registry.entries() if entry.group is None)
