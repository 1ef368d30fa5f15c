"""The command line: one file a command, each a thin face of a library function.

Commands import what is heavy when they run, so that ``passerby --help`` is quick. Every
:class:`~passerby.errors.PasserbyError` becomes one line on stderr and exit code 1; other exceptions
are bugs and keep their traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from passerby import __version__
from passerby.cli.commands import (
    attributes,
    bench,
    calibrate,
    data,
    demo,
    embed,
    evaluate,
    explain,
    import_weights,
    models,
    report,
    reproduce,
    search,
    train,
)
from passerby.cli.figures import app as figures_app
from passerby.errors import PasserbyError
from passerby.plugins import load_plugin


class _OneLineErrors(TyperGroup):
    """Runs a command and turns what a user can mend into one line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PasserbyError as error:
            if ctx.params["debug"]:
                raise
            typer.echo(f"passerby: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            if ctx.params["debug"]:
                raise
            typer.echo("passerby: interrupted", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="passerby",
    cls=_OneLineErrors,
    help="Person re-identification: train, evaluate, search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command(no_args_is_help=True)(train.train)
app.command(no_args_is_help=True)(evaluate.evaluate)
app.command(no_args_is_help=True)(calibrate.calibrate)
app.command(no_args_is_help=True)(embed.embed)
app.command(no_args_is_help=True)(search.search)
app.command(no_args_is_help=True)(attributes.attributes)
app.command(no_args_is_help=True)(explain.explain)
app.command(no_args_is_help=True)(report.report)
app.command(no_args_is_help=True)(reproduce.reproduce)
app.command()(models.models)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.add_typer(figures_app, name="figures")
app.command("import-weights", no_args_is_help=True)(import_weights.import_weights)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"passerby {__version__}")
        raise typer.Exit


@app.callback()
def _options(  # typer puts debug and version into the context
    debug: Annotated[bool, typer.Option("--debug", envvar="PASSERBY_DEBUG", help="Show tracebacks.")] = False,  # noqa: ARG001
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    plugins: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugin",
            envvar="PASSERBY_PLUGINS",
            metavar="FILE.py",
            help="Your own models, recipes, tables or data sets. Repeatable.",
        ),
    ] = None,
) -> None:
    """Options of every command; plugins are loaded, the others are acted upon above."""
    if plugins:
        _know_what_is_here()
    for plugin in plugins or ():
        load_plugin(plugin)


def _know_what_is_here() -> None:
    """So that a plugin which takes a name that is taken is the one that fails, and not what comes after it."""
    from passerby.data.registry import DATASETS
    from passerby.models.registry import MODELS
    from passerby.recipes.registry import RECIPES
    from passerby.recipes.tables import PAPERS

    for registry in (DATASETS, MODELS, RECIPES, PAPERS):
        list(registry)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code: 0, 1 for an error, 2 for misuse, 130 when interrupted."""
    app(args=None if arguments is None else list(arguments), prog_name="passerby")
    raise SystemExit(0)
