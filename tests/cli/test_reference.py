"""docs/cli.md has every command and every option, in the words of the help."""

from __future__ import annotations

import runpy
from pathlib import Path

from typer.main import get_command

from passerby.cli import app
from passerby.cli.generated_figures import figure_command, generated_names
from passerby.compat import FORMER_OPTIONS

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "cli.md"


def test_the_reference_is_up_to_date() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "cli_reference.py"))
    text = PAGE.read_text()
    assert script["page"](text) == text, "run python scripts/cli_reference.py"


def test_the_page_names_every_command_and_option() -> None:
    text = PAGE.read_text()
    shared, *sections = text.partition("## Reference\n")[2].split("\n### `passerby ")
    named = {section.partition("`")[0]: section for section in sections}
    program = get_command(app)
    for name, found in program.commands.items():
        commands = getattr(found, "commands", None)
        each = {f"{name} {sub}": command for sub, command in commands.items()} if commands else {name: found}
        each |= {f"figures {sub}": figure_command(sub) for sub in generated_names()} if name == "figures" else {}
        for words, command in each.items():
            [section] = [text for usage, text in named.items() if f"{usage} ".startswith(f"{words} ")]
            for option in command.params:
                assert option.name == "help" or not option.opts[0].startswith("-") or f"`{option.opts[0]}`" in section
    assert "`--device` `DEVICE`" in shared


def test_the_changelog_lists_former_option_names() -> None:
    rows = [line for line in (REPOSITORY / "CHANGELOG.md").read_text().splitlines() if line.lstrip().startswith("|")]
    for former, present in FORMER_OPTIONS.items():
        assert any(f"`{former}`" in row.split("|")[1] and f"`{present}`" in row.split("|")[2] for row in rows), former
