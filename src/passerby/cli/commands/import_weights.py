"""``passerby import-weights``: somebody else's checkpoint becomes a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError


@command("import-weights", panel=Panel.TRAIN, order=2)
def import_weights(
    model: Annotated[str, typer.Argument(help="Name of the model: osnet_x0_25, for example.")],
    file: Annotated[Path, typer.Argument(help="Its checkpoint: .safetensors, .pth or .pt.")],
    run: Annotated[Path, typer.Argument(help="Folder to make.")],
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the model: backbone=resnet18.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Input size; default: the model's.")] = None,
) -> None:
    """Make a run folder of a checkpoint, so that evaluate, embed and search work with it."""
    from passerby.config import parse_override
    from passerby.training.checkpoint import import_checkpoint

    chosen = dict(parse_override(text) for text in options or [])
    report = import_checkpoint(model, file, run, options=chosen, size=_size(size) if size else None)
    typer.echo(str(report))
    typer.echo(f"The model is in {run}.")


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    if not (x and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"--size is written HEIGHTxWIDTH, 256x128 for example; got {text!r}")
    return int(height), int(width)
