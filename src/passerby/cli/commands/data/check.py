"""``passerby data check``: what a dataset holds, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.options import DatasetArgument, JsonOption
from passerby.cli.registry import command
from passerby.errors import escape_controls

if TYPE_CHECKING:
    from passerby.data.checks import Finding, Report

SHOWN = 5
"""The number of files printed per finding without ``--all``."""


@command("check", group="data", order=0)
def check(
    data: DatasetArgument,
    decode: Annotated[
        bool, typer.Option("--decode/--no-decode", help="Decode every image, not only its name (default yes).")
    ] = True,
    every: Annotated[
        bool, typer.Option("--all", help=f"Print every file of a finding (default the first {SHOWN}).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Count images by split and camera and report problems; the exit code is 1 if there are errors."""
    from passerby.data.checks import check as find_problems
    from passerby.data.images.open import open_images
    from passerby.data.unread import listed_elsewhere

    with listed_elsewhere():
        dataset = open_images(data)
    report = find_problems(dataset, decode_images=decode)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        typer.echo(f"{dataset.name} at {dataset.source.root}")
        _print(report, shown=None if every else SHOWN)
    if not report.ok:
        raise typer.Exit(1)


def _print(report: Report, *, shown: int | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("split", "camera", box=None, pad_edge=False)
    for column in ("images", "people"):
        table.add_column(column, justify="right")
    for count in report.counts:
        table.add_row(count.split, count.camera, f"{count.images:,}", f"{count.people:,}")
    Console().print(table)
    for finding in report.findings:
        _print_finding(finding, shown)
    typer.echo("No errors." if report.ok else "Errors were found: fix them before training or evaluation.")


def _print_finding(finding: Finding, shown: int | None) -> None:
    typer.echo(escape_controls(f"{finding.level}: {finding.message}", one_line=True))
    for name in finding.files[:shown]:
        typer.echo(escape_controls(f"  {name}", one_line=True))
    if shown is not None and len(finding.files) > shown:
        typer.echo(f"  and {len(finding.files) - shown:,} more (--all lists them)")
