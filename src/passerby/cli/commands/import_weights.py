"""``passerby import-weights``: make a run folder of a checkpoint that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError


@command("import-weights", panel=Panel.TRAIN, order=2)
def import_weights(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Checkpoint: .safetensors, .pth or .pt; FILE#NAME; hf:OWNER/NAME; street."),
    ],
    run: Annotated[Path | None, typer.Option("--output", "-o", metavar="RUN", help="Run folder to make.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="Model, as `passerby models` lists it (default told by the file)."
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change an option of the model, e.g. backbone=resnet18; repeatable."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="HEIGHTxWIDTH", help="Image size (default the toolkit's or model's)."),
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
    """Make a run folder of a checkpoint, or of weights in the package, for evaluate, embed and search."""
    from passerby.config import parse_overrides
    from passerby.weights.catalog import shipped
    from passerby.weights.find import find_file

    model, file, run = _arguments(files, model, run)
    if run is None:
        raise ConfigError("import-weights needs a folder to write to. Fix: give --output RUN")
    chosen, height_width = parse_overrides(options or ()), _size(size) if size else None
    if (folder := shipped(file)) is not None:
        if model or chosen or size or missing or unexpected:
            raise ConfigError(f"{file} is complete as it is. Fix: leave out all options but --output")
        from passerby.training.checkpoint import import_shipped

        import_shipped(folder, run)
        typer.echo(f"The model is in {run}.")
        return
    if not file.startswith("hf:"):
        find_file(file)  # before the imports that take seconds
    from passerby.training.checkpoint import import_checkpoint

    found = import_checkpoint(
        model,
        file,
        run,
        options=chosen,
        size=height_width,
        missing=missing or (),
        unexpected=unexpected or (),
    )
    typer.echo(str(found))
    typer.echo(f"The model is in {run}.")


def _arguments(words: list[str], model: str | None, run: Path | None) -> tuple[str | None, str, Path | None]:
    """Return model, file and run folder; ``MODEL FILE RUN`` are the former arguments, accepted for one release."""
    if len(words) == 1:
        return model, words[0], run
    if len(words) != 3 or model is not None or run is not None:
        raise ConfigError(
            f"import-weights takes one FILE, got {', '.join(words)}. Fix: import-weights FILE --output RUN"
        )
    former, file, folder = words
    typer.echo(f"passerby: the arguments are now: import-weights {file} --model {former} --output {folder}", err=True)
    return former, file, Path(folder)


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    if not (x and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"--size: got {text!r}, expected HEIGHTxWIDTH. Fix: for example --size 256x128")
    return int(height), int(width)
