"""Write the reference of all commands and options into docs/cli.md, from the help texts of the program.

usage: python scripts/cli_reference.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.main import get_command

from passerby.cli import app
from passerby.cli.command import Command
from passerby.cli.generated_figures import figure_command, figure_entry, generated_names
from passerby.cli.registry import Entry, entries

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
START, END = "<!-- reference: scripts/cli_reference.py writes what follows -->\n", "<!-- end of the reference -->\n"
SHARED = 5
"""The number of commands from which on a parameter is described once for all."""


KINDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class Parameter:
    """An option or an argument, as it stands in the reference."""

    names: tuple[str, ...]
    value: str
    text: str
    required: bool

    @property
    def is_option(self) -> bool:
        """Whether it is an option, not an argument."""
        return self.names[0].startswith("-")

    @property
    def row(self) -> str:
        """The row of a table."""
        value = self.value.replace("|", "\\|")
        if not self.is_option:
            return f"| `{value}` | {self.text} |"
        return f"| {', '.join(f'`{name}`' for name in self.names)}{f' `{value}`' if value else ''} | {self.text} |"

    @property
    def key(self) -> tuple[str, str]:
        """The key that is equal for the same parameter of several commands."""
        return self.names[0] if self.is_option else self.value, self.text


def parameters(entry: Entry, command: Command) -> list[Parameter]:
    """Return a command's parameters in the order of its help."""
    assert entry.function is not None
    hints = get_type_hints(entry.function, include_extras=True)
    found = []
    for option in command.params:
        if option.name in hints:
            is_flag = getattr(option, "is_flag", False)
            value = "" if is_flag else (option.metavar or _value(get_args(hints[option.name])[0])).strip("[]")
            names = (*option.opts, *option.secondary_opts)
            found.append(
                Parameter(names, value.replace("]…", "…"), str(getattr(option, "help", "")), bool(option.required))
            )
    return found


def _value(kind: Any) -> str:
    """Return the name of a value: choices of a Literal, else a word for the type."""
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return KINDS.get(kind) or next(_value(each) for each in get_args(kind) if each is not type(None))


def reference() -> str:
    """Return the reference of all commands as Markdown."""
    program: Any = get_command(app)
    sections: list[tuple[str, str, list[Parameter]]] = []
    generated = generated_names()
    known = [*entries(), *map(figure_entry, generated)]
    for entry in sorted(known, key=lambda entry: (place_of(entry), entry.place)):
        if entry.function is not None:
            if entry.group == "figures" and entry.name in generated:
                command = figure_command(entry.name)
            else:
                command = (program.commands[entry.group] if entry.group else program).commands[entry.name]
            name = " ".join(filter(None, ("passerby", entry.group, entry.name)))
            sections.append((name, " ".join(str(command.help).split()), parameters(entry, command)))
    counts = Counter(key for *_, each in sections for key in {p.key for p in each})
    shared = {key for key, count in counts.items() if count >= SHARED}
    common = {p.key: p.row for *_, each in sections for p in each if p.key in shared}
    lines = ["### Options of several commands", "", "| | |", "|---|---|", *common.values()]
    for name, text, each in sections:
        lines += section(name, text, each, shared)
    return "\n".join(lines) + "\n"


def place_of(entry: Entry) -> tuple[int, int, str]:
    """Return the place of a command's group, or else its own."""
    groups = {each.name: each.place for each in entries() if each.function is None}
    return groups.get(entry.group or "", entry.place)


def section(name: str, text: str, found: list[Parameter], shared: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines of one command."""
    arguments = [p.value if p.required else f"[{p.value}]" for p in found if not p.is_option]
    yield from ("", f"### `{' '.join((name, *arguments))}`", "", text)
    own = {p.key: p.row for p in found if p.key not in shared}
    if own:
        yield from ("", "| | |", "|---|---|", *own.values())
    also = [f"`{p.names[0]}`{' (required)' if p.required else ''}" for p in found if p.is_option and p.key in shared]
    if also:
        yield from ("", f"Also {', '.join(also)}.")


def page(text: str) -> str:
    """Return the page with today's reference."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
