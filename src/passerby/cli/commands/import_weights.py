"""``passerby import-weights``: make a run folder of a checkpoint that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError


@command("import-weights", panel=Panel.TRAIN, order=2)
def import_weights(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model, e.g. osnet_x0_25; `passerby models` lists all.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Checkpoint: .safetensors, .pth or .pt; FILE#NAME.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to make.")],
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change an option of the model, e.g. backbone=resnet18; repeatable."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Image size (default that of the model).")
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option("--allow-missing", metavar="PREFIX", help="Tensors that FILE may lack; repeatable."),
    ] = None,
    unexpected: Annotated[
        list[str] | None,
        typer.Option("--allow-unexpected", metavar="PREFIX", help="Tensors of FILE to leave out; repeatable."),
    ] = None,
) -> None:
    """Make a run folder of a checkpoint, for evaluate, embed and search."""
    from passerby.config import parse_overrides
    from passerby.weights.find import find_file

    chosen, height_width = parse_overrides(options or ()), _size(size) if size else None
    if not file.startswith("hf:"):
        find_file(file)  # before the imports that take seconds
    from passerby.training.checkpoint import import_checkpoint

    report = import_checkpoint(
        model,
        file,
        run,
        options=chosen,
        size=height_width,
        missing=missing or (),
        unexpected=unexpected or (),
    )
    typer.echo(str(report))
    typer.echo(f"The model is in {run}.")


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    if not (x and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"--size: got {text!r}, expected HEIGHTxWIDTH, e.g. 256x128")
    return int(height), int(width)
