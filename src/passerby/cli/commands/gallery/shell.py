"""``passerby gallery shell``: commands about one gallery on disk, line by line, with the model in memory."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

import typer

from passerby.cli.gallery_options import GalleryArgument, keeping_open
from passerby.cli.options import DeviceOption, JsonOption, ModelArgument
from passerby.cli.registry import command
from passerby.errors import ConfigError, PasserbyError, escape_controls

COMMANDS = ("search", "add", "stats", "confirm", "reject", "feedback", "group", "verify")
"""The commands of ``passerby gallery`` that a line may hold."""
_TAKE_RUN = ("search", "add")
_Misuse: type[Exception] = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
"""The class of errors of options, which typer may take from click or bring along."""


@command("shell", group="gallery", order=11)
def shell(
    ctx: typer.Context,
    run: ModelArgument,
    gallery: GalleryArgument,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Read commands about a gallery line by line, such as `search IMAGE -k 5`; RUN and GALLERY are left out.

    With --json each line of input gets one line of JSON.
    """
    from passerby.cli.gallery_options import open_gallery

    shown = sys.stdin.isatty() and not as_json
    group = ctx.parent.command if ctx.parent else None
    with keeping_open():
        opened = open_gallery(run, gallery, device=device)
        if shown:
            typer.echo(f"{len(opened):,} images. Commands: {', '.join(COMMANDS)}, help, quit.")
        for line in _lines(prompt=shown):
            try:
                words = shlex.split(line, comments=True)
                if words[:1] in (["quit"], ["exit"]):
                    return
                if words:
                    _answer(ctx, group, words, [str(run), str(gallery)], device=device, as_json=as_json)
            except (PasserbyError, OSError, ValueError, MemoryError, typer.Exit, typer.Abort) as error:
                _print_error(error, as_json=as_json)
            sys.stdout.flush()


def _answer(
    ctx: typer.Context, group: Any, words: Sequence[str], places: Sequence[str], *, device: str, as_json: bool
) -> None:
    """Run one line."""
    name, *options = words
    if name == "help":
        _help(ctx, group, options, as_json=as_json)
        return
    if name not in COMMANDS:
        raise ConfigError(f"no command: got {name!r}, expected {', '.join(COMMANDS)}, help or quit. Fix: help")
    with_run = name in _TAKE_RUN
    given = [*(places if with_run else places[1:]), *options]
    given += ["--device", device] if with_run and "--device" not in options else []
    found = group.get_command(ctx, name)
    takes_json = any("--json" in parameter.opts for parameter in found.params)
    if not as_json:
        _run(found, name, given)
        return
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            _run(found, name, [*given, "--json"] if takes_json and "--json" not in options else given)
    finally:
        text = out.getvalue().strip()
        if text:
            typer.echo(json.dumps(json.loads(text) if takes_json and text.startswith("{") else {"said": text}))


def _run(found: Any, name: str, given: Sequence[str]) -> None:
    """Run a command; what was misspelt is an error like others."""
    try:
        code = found.main(args=list(given), prog_name=name, standalone_mode=False)
    except _Misuse as error:
        said = error.format_message()  # type: ignore[attr-defined]
        raise ConfigError(f"{said} Fix: help {name}") from None
    if code:
        raise ConfigError(f"{name} found something wrong, code {code}. Fix: see above")


def _help(ctx: typer.Context, group: Any, options: Sequence[str], *, as_json: bool) -> None:
    if options and options[0] in COMMANDS and not as_json:
        _run(group.get_command(ctx, options[0]), options[0], ["--help"])
        return
    text = f"{', '.join(COMMANDS)}: as passerby gallery COMMAND, without RUN and GALLERY; help COMMAND; quit"
    typer.echo(json.dumps({"said": text}) if as_json else text)


def _print_error(error: BaseException, *, as_json: bool) -> None:
    text = escape_controls(" ".join(str(error).split()) or type(error).__name__, one_line=True)
    if as_json:
        typer.echo(json.dumps({"error": text}))
    else:
        typer.echo(f"passerby: {text}", err=True)


def _lines(*, prompt: bool) -> Iterator[str]:
    """Yield the lines of standard input until it ends."""
    while True:
        if prompt:
            typer.echo("> ", nl=False)
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield line
