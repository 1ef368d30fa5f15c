"""``passerby export``: write a run's model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import OverwriteOption, RunArgument
from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.export.onnx import Exported
    from passerby.inference.model import Model
    from passerby.inference.onnx.session import Precision


WORTH = 1.05
"""The least gain in speed that is one."""


@command("export", panel=Panel.SEARCH, order=3)
def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="ONNX file to write.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Images to compare file and run on: a folder, zip, tar or NAME:PATH (default synthetic).",
        ),
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", metavar="NAME", help="License of the weights to state (default none).")
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"] | None,
        typer.Option(
            "--precision",
            help="Numbers of the file: float16 halves it, int8 computes convolutions in int8 (default float32).",
        ),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")] = False,
    calibration_data: Annotated[
        str | None,
        typer.Option(
            "--calibration-data",
            metavar="DATA",
            help="Images like those that an int8 file will see: a folder, zip, tar or NAME:PATH (default --data).",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a run's model as one ONNX file that takes images of any size; its embeddings are checked first."""
    chosen = _precision(precision, int8=int8)
    if calibration_data is not None and chosen != "int8":
        raise ConfigError(
            f"--calibration-data is for int8, and the precision is {chosen}. Fix: add --int8, or leave it out"
        )
    from passerby.files import reserved
    from passerby.inference.load import load

    with reserved(output, overwrite=overwrite):
        model = load(run, device="cpu")
        from passerby.export.onnx import export_onnx

        found = export_onnx(
            model, output, crops=data, license=license_name, precision=chosen, calibration=calibration_data
        )
        _print(model, found)
        _print_quantization(model, found)


def _precision(given: Precision | None, *, int8: bool) -> Precision:
    """Return the precision that two options ask for.

    Raises:
        ConfigError: if they contradict each other.
    """
    if int8 and given not in (None, "int8"):
        raise ConfigError(f"--int8 and --precision {given} exclude each other. Fix: leave one out")
    return "int8" if int8 else given or "float32"


def _print(model: Model, found: Exported) -> None:
    height, width = model.size
    parity = found.parity
    typer.echo(
        f"{found.path}: {model.card.name}, {found.size / 1e6:.1f} MB, fingerprint {found.fingerprint}. It takes uint8 "
        f"RGB (images, height, width, 3) of any size and resizes to {height}×{width}."
    )
    typer.echo(
        f"Least cosine with the run's embeddings: {parity.cosine:.7f} ({parity.images} images of {parity.data}, in "
        "batches of 1, 4 and 17)."
    )


def _print_quantization(model: Model, found: Exported) -> None:
    """Print what int8 changed, and whether it was worth it."""
    how = found.quantization
    if how is None or found.speed is None:
        return
    typer.echo(
        f"{how.quantized} of {how.convolutions} convolutions are in int8, calibrated on {how.images} images of "
        f"{how.data}; the others would change embeddings too much. Here the file takes {1 / found.speed:.2f} times the "
        "CPU time of float32."
    )
    if found.speed < WORTH:
        typer.echo(
            f"int8 gains no speed for {model.card.name} here. --precision float16 gives a smaller file, too, whose "
            "embeddings are those of the run."
        )
    typer.echo(
        "Embed galleries with this file: its embeddings have a fingerprint of their own, since they differ a little "
        f"from those of the run ({model.fingerprint})."
    )
    if model.calibration is not None:
        typer.echo("The run's calibration is not in the file: it is of the run's distances.")
