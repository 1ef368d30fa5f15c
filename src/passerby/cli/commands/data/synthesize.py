"""``passerby data synthesize``: a dataset of synthetic pedestrians."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.cli.registry import command


@command("synthesize", group="data", order=1)
def synthesize(  # noqa: PLR0913 - options of a command
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Dataset folder to make.")],
    people: Annotated[
        int, typer.Option("--people", help="Number of identities, half for training and half for testing.")
    ] = 200,
    cameras: Annotated[int, typer.Option("--cameras", help="Number of cameras, each of which sees everyone.")] = 6,
    images: Annotated[
        int, typer.Option("--images", help="Images per identity and camera, at least 2 for an evaluation.")
    ] = 4,
    size: Annotated[str, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Image size in pixels.")] = "128x64",
    preset: Annotated[
        Literal["easy", "default", "hard"], typer.Option("--preset", help="Preset of all difficulties.")
    ] = "default",
    seed: Annotated[int, typer.Option("--seed", help="Random seed of people, scenes and cameras.")] = 0,
    outfits: Annotated[
        int, typer.Option("--outfits", min=1, max=2, help="Outfits per identity, 2 for clothes-changing data.")
    ] = 1,
    separate_cameras: Annotated[
        bool, typer.Option("--separate-cameras", help="Use half of the cameras for training and half for testing.")
    ] = False,
    difficulty: Annotated[
        list[str] | None,
        typer.Option(
            "--difficulty",
            metavar="NAME=VALUE",
            help="Change one difficulty of the preset, e.g. background=0.5; repeatable.",
        ),
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Also write part masks.")] = False,
    train_only: Annotated[bool, typer.Option("--train-only", help="Leave out the test half of the people.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of processes (default one per core).")
    ] = None,
) -> None:
    """Generate synthetic pedestrians in Market-1501's layout, with attributes.csv and keypoints.json."""
    from passerby.cli.results import progress_bar
    from passerby.config import given_once
    from passerby.data.registry import load
    from passerby.synthetic.export import write_pedestrians
    from passerby.synthetic.files import in_training, keys
    from passerby.synthetic.settings import Settings
    from passerby.synthetic.spec import parse_difficulty, parse_size

    settings = Settings(
        people=people, cameras=cameras, images=images, size=parse_size(size), preset=preset, seed=seed,
        two_outfits=outfits == 2, separate_cameras=separate_cameras,
        changes=given_once(parse_difficulty(text) for text in difficulty or ()),
    )  # fmt: skip
    number = sum(1 for key in keys(settings) if in_training(settings, key.pid) or not train_only)
    with progress_bar("rendering", number) as advance:
        write_pedestrians(
            output, settings, workers=workers or _cores(), masks=masks, train_only=train_only, progress=advance
        )
    typer.echo(f"{output} holds {load(output).summary()}.")


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
