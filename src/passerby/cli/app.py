"""The command line: every command is a file of ``cli/commands`` or ``cli/figures`` and calls a library function.

Commands import heavy modules when they run, so that ``passerby --help`` is fast. Every
:class:`~passerby.errors.PasserbyError`, and every error of the system (:class:`OSError`, no memory), is printed as one
line on stderr with exit code 1; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from passerby import __version__
from passerby.cli.command import Command
from passerby.cli.registry import entries
from passerby.cli.streams import escaped_output, flush_output
from passerby.compat import FormerNameWarning
from passerby.errors import OutputError, PasserbyError, escape_controls, is_utf8
from passerby.files import NO_ROOM
from passerby.interrupts import describe, exit_code, orderly_signals
from passerby.plugins import load_plugin


class _Program(TyperGroup):
    """The root group, which prints errors that a user can fix as one line."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Return commands and groups together in the order of the help; typer would put groups last."""
        return [entry.name for entry in entries() if entry.group is None]

    def invoke(self, ctx: Any) -> Any:
        """Run a command and turn its errors into one line and an exit code."""
        try:
            with _plain_warnings():
                return super().invoke(ctx)
        except BrokenPipeError:  # the reader of a pipe has enough, which click knows
            raise
        except (PasserbyError, OSError, MemoryError, RuntimeError, ValueError) as error:
            reason = _reason(error)
            if ctx.params["debug"] or reason is None:
                raise
            _print_error(reason)
            if isinstance(error, OSError):  # it may be of the output itself, which then says no more
                with suppress(OutputError):
                    flush_output()
            raise typer.Exit(1) from None
        except KeyboardInterrupt as error:
            if ctx.params["debug"]:
                raise
            typer.echo(f"passerby: {describe(error)}", err=True)
            raise typer.Exit(exit_code(error)) from None


def _print_error(error: object) -> None:
    """Print an error as one line, in which no name can act on the terminal."""
    typer.echo(escape_controls(f"passerby: {' '.join(str(error).split())}"), err=True)


_OF_PATHS = {"embedded null byte": "a path holds a NUL character", "Could not determine home directory": "no such user"}
"""The messages of errors of paths that are no OSError, and what they mean."""


def _reason(error: Exception) -> str | None:
    """Return what is wrong, for errors of the system as for those of this package; ``None`` for a bug."""
    if isinstance(error, OSError) and error.strerror:
        fix = ". Fix: make room, or write elsewhere" if error.errno in NO_ROOM else ""
        return f"{error.strerror}{'' if error.filename is None else f': {str(error.filename)!r}'}{fix}"
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f' ({error})' if str(error) else ''}. Fix: free some, or ask for less"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply. Fix: take one that is not damaged"
    if isinstance(error, (PasserbyError, OSError)):
        return str(error) or type(error).__name__
    meaning = next((meaning for start, meaning in _OF_PATHS.items() if str(error).startswith(start)), None)
    return meaning and f"{meaning} ({error}). Fix: give another path"


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings of former setting names as one line on stderr, as those of former options; others stay."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, FormerNameWarning):
            typer.echo(f"passerby: {message}; the former name will not be accepted much longer", err=True)
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FormerNameWarning)
        others, warnings.showwarning = warnings.showwarning, show
        yield


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"passerby {__version__}")
        raise typer.Exit


def _options(  # _Program reads debug from the context, _print_version acts on version
    debug: Annotated[bool, typer.Option("--debug", envvar="PASSERBY_DEBUG", help="Show tracebacks of errors.")] = False,  # noqa: ARG001
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    plugins: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugin",
            envvar="PASSERBY_PLUGINS",
            metavar="FILE.py",
            help="Python file that registers models, recipes, tables or datasets; repeatable.",
        ),
    ] = None,
) -> None:
    """Load the plugins; the other options act above."""
    for plugin in plugins or ():
        load_plugin(plugin)


def build_app() -> typer.Typer:
    """Return the program with every registered command and group."""
    program = typer.Typer(
        name="passerby",
        cls=_Program,
        help="Train, evaluate, explain and search with person re-identification models.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(_options)
    found = entries()
    groups: dict[str | None, typer.Typer] = {None: program}
    for entry in found:
        if entry.function is None:
            groups[entry.name] = typer.Typer(no_args_is_help=True, help=entry.help, cls=entry.cls)
            program.add_typer(groups[entry.name], name=entry.name, rich_help_panel=entry.heading)
    for entry in found:
        if entry.function is not None:
            add = groups[entry.group].command(
                entry.name, cls=Command, no_args_is_help=entry.needs_arguments, rich_help_panel=entry.heading
            )
            add(entry.function)
    return program


app = build_app()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with 0, 1 for an error, 2 for misuse or 130 when interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    with orderly_signals(), escaped_output():
        try:
            _check_utf8(given)
            app(args=given, prog_name="passerby")
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
        try:
            flush_output()
        except OutputError as error:
            _print_error(error)
            code = code or 1
    raise SystemExit(code)


def _check_utf8(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if not is_utf8(argument):
            _print_error(f"argument {argument!r} is not UTF-8, so it cannot be stored. Fix: rename the file")
            raise SystemExit(1)
