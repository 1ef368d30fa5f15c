"""``passerby reproduce``: run a table of a paper and compare with the published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.options import SetOption
from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.recipes.table_report import TableReport


@command("reproduce", panel=Panel.TRAIN, order=1)
def reproduce(
    paper: Annotated[
        str | None,
        typer.Argument(metavar="PAPER", help="Paper: aap_reid, dual_attention, aanet or attention_driven."),
    ] = None,
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="Table, e.g. table1.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Dataset: NAME:PATH or a path (folder, zip, tar); repeatable: one for each column of the table.",
        ),
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="A,B,…", help="Rows to run (default all that can be run).")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Epochs, with a shorter schedule (default the paper's).")
    ] = None,
    init: Annotated[
        list[str] | None,
        typer.Option(
            "--init",
            metavar="BACKBONE=FILE",
            help="Initial weights of the rows with this backbone; repeatable. Other rows are not run.",
        ),
    ] = None,
    settings: SetOption = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder in which PAPER-TABLE is written.")
    ] = Path("runs"),
    only_list: Annotated[bool, typer.Option("--list", help="List papers, tables and rows, and run nothing.")] = False,
) -> None:
    """Run rows of a paper's table and compare with its numbers; finished rows are not run again."""
    if only_list:
        _list(paper, table)
        return
    if paper is None or table is None:
        raise ConfigError(
            "no table to reproduce. Fix: passerby reproduce PAPER TABLE; `passerby reproduce --list` lists them"
        )
    from passerby.config import parse_overrides
    from passerby.recipes.reproduce import reproduce as run

    report = run(
        paper,
        table,
        data=data,
        rows=None if rows is None else [row.strip() for row in rows.split(",")],
        epochs=epochs,
        settings=parse_overrides(settings or ()),
        init=_initial_weights(init or ()),
        output=output,
        log=typer.echo,
    )
    _print(report)
    typer.echo(f"The report is in {output / f'{paper}-{table}'}: report.md, figure.png, results.json.")
    if report.failed:
        failed = ", ".join(line.name for line in report.failed)
        typer.echo(f"passerby: failed: {failed}; the report has the errors", err=True)
        raise typer.Exit(1)


def _initial_weights(pairs: Sequence[str]) -> dict[str, str]:
    """Return the files by backbone; a backbone that is named twice is an error."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not (name and equals and file):
            raise ConfigError(
                f"--init is written BACKBONE=FILE, got {pair!r}. Fix: for example --init resnet50=R50.pth"
            )
        if name in found:
            raise ConfigError(f"--init names {name} twice: '{found[name]}' and '{file}'. Fix: leave one of them out")
        found[name] = file
    return found


def _list(paper: str | None, table: str | None) -> None:
    from passerby.recipes.tables import PAPERS, load_table

    for name in [paper] if paper else PAPERS:
        tables = {table: load_table(name, table)} if table else PAPERS[name]
        typer.echo(f"{name}: {next(iter(tables.values())).paper}")
        for key, found in tables.items():
            where = ", ".join(column.title for column in found.columns)
            typer.echo(f"  {key}: {found.title} ({', '.join(found.metrics)}; {where})")
            for row in found.rows:
                why = found.reason(row)
                typer.echo(f"    {row}: {found.rows[row].title}{f' – cannot be run: {why}' if why else ''}")


def _print(report: TableReport) -> None:
    """Print each row's numbers beside those of the paper."""
    from rich.console import Console
    from rich.table import Table

    from passerby.recipes.table_report import format_number

    for condition in report.conditions:
        typer.echo(f"differs: {condition.what}: {condition.paper} → {condition.here}")
    if report.table.attributes:
        _print_attributes(report)
        return
    shown = Table("row", box=None, pad_edge=False)
    several = len({cell.dataset for cell in report.rows[0].cells}) > 1
    for cell in report.rows[0].cells:
        where = f" {cell.dataset}" if several else ""
        shown.add_column(f"{cell.metric}{where}", justify="right")
        shown.add_column("paper", justify="right")
    for line in report.rows:
        if line.state in ("measured", "counted"):
            numbers = [n for cell in line.cells for n in (cell.ours, cell.paper)]
            shown.add_row(line.name, *map(format_number, numbers))
    Console().print(shown)


def _print_attributes(report: TableReport) -> None:
    """Print one table per row, because attributes are too many for columns."""
    from rich.console import Console
    from rich.table import Table

    from passerby.recipes.table_report import format_number

    for line in (line for line in report.rows if line.state == "measured"):
        beside = list(line.cells[0].beside)
        shown = Table(line.name, box=None, pad_edge=False)
        for name in ("accuracy", "paper", *beside):
            shown.add_column(name, justify="right")
        for cell in line.cells:
            numbers = (cell.ours, cell.paper, *(cell.beside[name] for name in beside))
            shown.add_row(cell.metric, *map(format_number, numbers))
        Console().print(shown)
