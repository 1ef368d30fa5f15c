"""``passerby data synthesize``: a dataset of synthetic pedestrians."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.cli.registry import command


@command("synthesize", group="data", order=1)
def synthesize(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder to make.")],
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
    difficulty: Annotated[
        list[str] | None,
        typer.Option(
            "--difficulty", metavar="NAME=VALUE", help="Change one difficulty, e.g. background=0.5; repeatable."
        ),
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
        changes=dict(parse_difficulty(text) for text in difficulty or ()),
    )  # fmt: skip
    with progress_bar("drawing", sum(1 for _ in keys(settings))) as advance:
        write_pedestrians(output, settings, workers=workers or _cores(), masks=masks, progress=advance)
    typer.echo(f"{output} holds {load(output).summary()}.")


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
