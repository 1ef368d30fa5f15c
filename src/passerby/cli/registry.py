"""The commands of the program: each registers itself in its own module, and :mod:`passerby.cli.app` finds them.

A new command is one new file in ``cli/commands`` (or ``cli/figures``) with a function under :func:`command`. A group of
commands is a package of them whose ``__init__`` calls :func:`group`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from typer.core import TyperGroup

PACKAGES = ("passerby.cli.commands", "passerby.cli.figures")
Function = TypeVar("Function", bound=Callable[..., Any])


class Panel(Enum):
    """The headings of ``passerby --help``, in order."""

    START = "Start"
    DATA = "Data"
    TRAIN = "Train"
    EVALUATE = "Evaluate and explain"
    SEARCH = "Search"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A command or a group, with what decides its place in the help."""

    name: str
    group: str | None = None
    function: Callable[..., Any] | None = None
    help: str | None = None
    panel: Panel | None = None
    order: int = 0
    needs_arguments: bool = True
    cls: type[TyperGroup] | None = None
    """The class of a group that has commands besides the registered ones."""

    @property
    def heading(self) -> str | None:
        """The panel's text."""
        return self.panel.value if self.panel else None

    @property
    def place(self) -> tuple[int, int, str]:
        """The sort key: panel, order within it, name."""
        return (0 if self.panel is None else list(Panel).index(self.panel), self.order, self.name)


_COMMANDS: dict[tuple[str | None, str], Entry] = {}


def command(
    name: str, *, group: str | None = None, panel: Panel | None = None, order: int = 0, needs_arguments: bool = True
) -> Callable[[Function], Function]:
    """Register the decorated function as ``passerby [group] name``; its docstring is the help text.

    Args:
        name: what a user types.
        group: the group that it belongs to.
        panel: the heading of ``passerby --help`` under which it stands.
        order: its place under that heading; equal ones are sorted by name.
        needs_arguments: whether the command alone, without arguments, prints its help.
    """

    def register(function: Function) -> Function:
        _add(
            Entry(
                name=name,
                group=group,
                function=function,
                panel=panel,
                order=order,
                needs_arguments=needs_arguments,
            )
        )
        return function

    return register


def group(
    name: str,
    *,
    help: str,  # noqa: A002 - typer's word
    panel: Panel | None = None,
    order: int = 0,
    cls: type[TyperGroup] | None = None,
) -> None:
    """Register ``passerby name …``, the group that commands name as theirs; ``cls`` may add more commands to it."""
    _add(Entry(name=name, help=help, panel=panel, order=order, cls=cls))


def _add(entry: Entry) -> None:
    key = entry.group, entry.name
    if key in _COMMANDS:
        raise ValueError(f"two commands are called {' '.join(filter(None, key))!r}")
    _COMMANDS[key] = entry


def entries() -> list[Entry]:
    """Return all commands and groups in the order of the help, after importing every module of :data:`PACKAGES`."""
    for package in PACKAGES:
        for name in _modules(package):
            importlib.import_module(name)
    return sorted(_COMMANDS.values(), key=lambda entry: entry.place)


def _modules(package: str) -> Iterator[str]:
    path = importlib.import_module(package).__path__
    return (module.name for module in pkgutil.walk_packages(path, prefix=f"{package}."))
