"""Former option names, and defaults in help texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from passerby.cli import app
from passerby.cli.command import Command
from passerby.cli.generated_figures import figure_command, generated_names
from passerby.compat import FORMER_OPTIONS, former_options
from passerby.errors import ConfigError


def commands(group: Any = None, name: str = "passerby") -> Iterator[tuple[str, Command]]:
    """Yield every command of the program with what a user types."""
    group = group or get_command(app)
    for each, found in group.commands.items():
        if isinstance(found, Command):
            yield f"{name} {each}", found
        else:
            yield from commands(found, f"{name} {each}")


def names(command: Command) -> dict[str, Any]:
    return {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}


GENERATED = [(f"passerby figures {name}", figure_command(name)) for name in generated_names()]
RENAMINGS = [
    pytest.param(command, old, new, id=f"{name} {old}")
    for name, command in (*commands(), *GENERATED)
    for old, new in former_options(name.split()[-1]).items()
    if new in names(command) and old not in names(command)
]


def required(command: Command, *, but: str = "") -> list[str]:
    """The shortest arguments that a command can be parsed with, without one option that is given already."""
    given: list[str] = []
    for option in command.params:
        if option.required and but not in option.opts:
            given += [option.opts[0], "x"] if option.opts[0].startswith("-") else ["x"]
    return given


@pytest.mark.parametrize(("command", "old", "new"), RENAMINGS)
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_a_former_option_name_means_the_new_one(
    command: Command, old: str, new: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    option = names(command)[new]
    value = [] if option.is_flag else ["camera" if new == "--color" else "7"]

    def parsed(name: str) -> dict[str, Any]:
        given = [f"{name}={value[0]}"] if value and form == "one word" else [name, *value]
        return command.make_context("it", [*given, *required(command, but=new)]).params

    former = parsed(old)
    warnings = capsys.readouterr()
    assert former == parsed(new)
    assert warnings.out == ""
    assert warnings.err == f"passerby: {old} is now {new}; the former name will not be accepted much longer\n"
    assert capsys.readouterr().err == ""


def test_every_former_name_is_accepted_somewhere() -> None:
    assert {old for old, *_ in (param.values[1:] for param in RENAMINGS)} == set(FORMER_OPTIONS)


def test_a_former_name_is_warned_about_once_and_not_after_two_dashes(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [synthesize] = [command for name, command in commands() if name.endswith("synthesize")]
    context = synthesize.make_context("it", ["--knob", "light=0", "--knob=crop=1", "--", "--knob"])
    assert context.params["difficulty"] == ["light=0", "crop=1"]
    assert context.params["output"] == Path("--knob")
    assert capsys.readouterr().err.count("--knob is now --difficulty") == 1


def test_the_warning_comes_before_the_error(run, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = run("demo", "--out", tmp_path)
    warning, error = done.err.splitlines()
    assert warning.startswith("passerby: --out is now --output")
    assert error.startswith(f"passerby: {str(tmp_path)!r} exists and no demo made it")


def test_a_default_stands_in_the_help_text() -> None:
    program = typer.Typer()

    def show(
        number: Annotated[int, typer.Option(help="A number.")] = 0,
        text: Annotated[str, typer.Option(help="A text (default: none).")] = "x",
        place: Annotated[Path | None, typer.Option(help="A place.")] = None,
        flag: Annotated[bool, typer.Option(help="A flag.")] = False,
    ) -> None:
        """Show it."""

    program.command(cls=Command)(show)
    helps = {option.name: option.help for option in get_command(program).params}
    assert [helps[name] for name in ("number", "text", "place", "flag")] == [
        "A number (default 0).", "A text (default: none).", "A place.", "A flag.",
    ]  # fmt: skip


def described() -> list[tuple[str, Command]]:
    return [*commands(), *GENERATED]


@pytest.mark.parametrize(("name", "command"), described())
def test_help_texts_are_one_sentence_with_the_default_in_parentheses(name: str, command: Command) -> None:
    for option in command.params:
        if option.name == "help":
            continue
        text = option.help
        assert text, f"{name} {option.opts[0]} has no help"
        assert text[0].isupper() or text[0].isdigit(), text
        assert text.endswith("."), text
        assert "default:" not in text, text


VARYING = {
    "--data": "train: the training data",
    "--seed": "what is random differs",
    "--output": "what is written differs",
    "-o": "what is written differs",
    "--set": "import-weights: options of the model",
    "--size": "of images, or of a model's input",
    "--split": "sheet shows all splits by default",
    "--method": "each command has its own methods",
    "--people": "people to generate, or to show",
    "--cameras": "cameras to generate, or to show",
    "-n": "what is counted differs",
    "-k": "search has its own default",
    "--attributes": "ranked-list can filter by the query's own",
    "--attribute-labels": "figures attributes has own labels of synthetic data by default",
    "--features": "figures of curves take several files",
    "--images": "images to generate, or where they are",
    "--distance": "calibrate: the one that searches compare",
    "--init": "reproduce: ImageNet weights of each backbone",
    "--engine": "of a search, a database; of ingest, what its workers are",
    "--workers": "processes that render, or that embed",
    "--list": "what is listed differs",
    "--thumbnails": "figures embedding draws images, galleries keep them",
    "--gallery": "calibrate: a gallery on disk only",
    "--pairs": "calibrate: a table; of a figure their number",
}
"""Options whose help texts differ between commands, and why."""


def test_an_option_means_the_same_in_every_command() -> None:
    meanings: dict[str, dict[str, set[str]]] = {}
    for name, command in described():
        for option in command.params:
            for word in (*option.opts, *option.secondary_opts):
                if word.startswith("-") and word not in VARYING:
                    meanings.setdefault(word, {}).setdefault(str(option.help), set()).add(name)
    differing = {word: texts for word, texts in meanings.items() if len(texts) > 1}
    assert differing == {}


def test_a_former_name_means_nothing_to_a_command_that_never_had_it(run, tmp_path: Path) -> None:
    done = run("evaluate", "RUN", "--data", "DATA", "--figure", tmp_path / "x.png")
    assert done.code == 2
    assert "No such option" in done.err
    assert not (tmp_path / "x.png").exists()


REPEATABLE = [
    pytest.param(command, option, id=f"{name} {option.opts[0]}")
    for name, command in (*commands(), *GENERATED)
    for option in command.params
    if option.opts[0].startswith("-") and option.name not in ("help", "install_completion", "show_completion")
]


@pytest.mark.parametrize(("command", "option"), REPEATABLE)
def test_an_option_of_one_value_is_given_once(command: Command, option: Any) -> None:
    """Only the last value would count; flags and options of several values may be repeated."""
    once = [option.opts[0]] if option.is_flag else [option.opts[0], "1"]
    other = [option.secondary_opts[0]] if option.secondary_opts else once
    asked = lambda: command.make_context("x", [*once, *other], resilient_parsing=True)  # noqa: E731
    if option.multiple or (option.is_flag and not option.secondary_opts):
        asked()
        return
    with pytest.raises(ConfigError, match=r"is given 2 times, but has one value\. Fix: give it once"):
        asked()


def test_the_last_data_does_not_win(run, tmp_path: Path) -> None:
    done = run("evaluate", tmp_path, "--data", "a", "--data", "b")
    assert (done.code, done.out) == (1, "")
    assert done.err == "passerby: --data is given 2 times, but has one value. Fix: give it once\n"
    assert "--output is given 2 times" in run("embed", "r", "i", "-o", "a.parquet", "--output", "b.parquet").err
    assert "data.train is set twice" in run("train", "aligned_reid", "--data", "a", "--set", "data.train=b").err
    assert "epochs is set twice" in run("train", "aligned_reid", "--set", "epochs=1", "--set", "epochs=2").err
    twice = ("--difficulty", "occluder=0", "--difficulty", "occluder=1")
    assert "occluder is set twice" in run("data", "synthesize", tmp_path / "s", *twice).err
