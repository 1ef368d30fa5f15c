"""``passerby data``: make a dataset of people who do not exist; see what is in one, and what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import Blur

if TYPE_CHECKING:
    from passerby.data.checks import Finding, Report

Place = Annotated[
    str, typer.Argument(metavar="DATA", help="NAME:PATH, a path (folder, zip, tar), or pedestrians:people=60,….")
]
app = typer.Typer(help="Make and look at datasets.", no_args_is_help=True)
SHOWN = 5
"""Files named a finding, unless all are asked for."""


@app.callback()
def _data() -> None:
    """Make and look at datasets."""


@app.command(no_args_is_help=True)
def check(
    spec: Place,
    decode: Annotated[bool, typer.Option(help="Open every image; without, only names are checked.")] = True,
    every: Annotated[bool, typer.Option("--all", help="Name every file of a finding.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count images by split and camera and say in plain words what will hurt; exit code 1 on errors."""
    from passerby.data.checks import check as examine
    from passerby.data.registry import load

    dataset = load(spec)
    report = examine(dataset, decode_images=decode)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        typer.echo(f"{dataset.name} at {dataset.source.root}")
        _print(report, shown=None if every else SHOWN)
    if not report.ok:
        raise typer.Exit(1)


@app.command(no_args_is_help=True)
def synthesize(
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    people: Annotated[int, typer.Option(help="Half of them to train on, half to look for.")] = 200,
    cameras: Annotated[int, typer.Option(help="Each sees everybody.")] = 6,
    images: Annotated[int, typer.Option(help="Of each person by each camera; 2 or more, to evaluate on them.")] = 4,
    size: Annotated[str, typer.Option(metavar="HEIGHTxWIDTH", help="Of the pictures, in pixels.")] = "128x64",
    preset: Annotated[Literal["easy", "default", "hard"], typer.Option(help="How hard it is to know people.")] = (
        "default"
    ),
    seed: Annotated[int, typer.Option(help="Another one gives other people, streets and cameras.")] = 0,
    outfits: Annotated[int, typer.Option(min=1, max=2, help="2: people change clothes halfway through.")] = 1,
    separate_cameras: Annotated[
        bool, typer.Option("--separate-cameras", help="Half of the cameras see training people only, half test people.")
    ] = False,
    knobs: Annotated[
        list[str] | None, typer.Option("--knob", metavar="NAME=VALUE", help="Change one difficulty: background=0.5.")
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Write part masks, too.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Draw people who do not exist, in Market-1501's layout, with attributes.csv and keypoints.json."""
    from passerby.cli.progress import progress_bar
    from passerby.data.registry import load
    from passerby.synthetic.export import write_pedestrians
    from passerby.synthetic.files import keys
    from passerby.synthetic.settings import Settings
    from passerby.synthetic.spec import parse_difficulty, parse_size

    settings = Settings(
        people=people, cameras=cameras, images=images, size=parse_size(size), preset=preset, seed=seed,
        two_outfits=outfits == 2, separate_cameras=separate_cameras,
        changes=dict(parse_difficulty(knob) for knob in knobs or ()),
    )  # fmt: skip
    with progress_bar("drawing", sum(1 for _ in keys(settings))) as advance:
        write_pedestrians(out, settings, workers=workers or _cores(), masks=masks, progress=advance)
    typer.echo(f"{out} holds {load(out).summary()}.")


@app.command(no_args_is_help=True)
def sheet(
    spec: Place,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .png or .jpg to write.")],
    people: Annotated[int, typer.Option(min=1, help="Columns.")] = 12,
    cameras: Annotated[int, typer.Option(min=1, help="Rows.")] = 6,
    split: Annotated[
        Literal["train", "query", "gallery"] | None, typer.Option(help="People of it only; default: of all.")
    ] = None,
    joints: Annotated[bool, typer.Option("--joints", help="Draw joints, where they are known.")] = False,
    twins: Annotated[bool, typer.Option("--twins", help="Only people with a twin, where that is known.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")] = False,
    blur: Blur = None,
) -> None:
    """Draw a contact sheet: people across, cameras down."""
    from passerby.data.registry import load
    from passerby.explain.images import ImageSet
    from passerby.figures.contact_sheet import check_sheet_path, contact_sheet, save_sheet
    from passerby.files import check_target

    check_sheet_path(output)
    check_target(output, overwrite=overwrite)
    dataset = load(spec)
    drawn = contact_sheet(
        dataset,
        split=split,
        count=people,
        cameras=cameras,
        keypoints=joints,
        twins=twins,
        image=ImageSet(dataset.source, blur=blur).image,
    )
    save_sheet(drawn, output)
    typer.echo(f"The people are in {output}.")


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    typer.echo("No errors." if report.ok else "Errors were found: mend them before training or evaluating.")


def _print_finding(finding: Finding, shown: int | None) -> None:
    typer.echo(f"{finding.level}: {finding.message}")
    for name in finding.files[:shown]:
        typer.echo(f"  {name}")
    if shown is not None and len(finding.files) > shown:
        typer.echo(f"  and {len(finding.files) - shown:,} more (--all names them)")
