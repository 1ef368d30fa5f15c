"""``passerby export``: write a run's model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.options import OverwriteOption, RunArgument
from passerby.cli.registry import Panel, command

if TYPE_CHECKING:
    from passerby.export.onnx import Exported
    from passerby.inference.model import Model


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
    overwrite: OverwriteOption = False,
) -> None:
    """Write a run's model as one ONNX file that takes images of any size; its embeddings are checked first."""
    from passerby.files import reserved
    from passerby.inference.load import load

    with reserved(output, overwrite=overwrite):
        model = load(run, device="cpu")
        from passerby.export.onnx import export_onnx

        _print(model, export_onnx(model, output, crops=data, license=license_name))


def _print(model: Model, found: Exported) -> None:
    height, width = model.size
    parity = found.parity
    typer.echo(
        f"{found.path}: {model.card.name}, {found.size / 1e6:.1f} MB, fingerprint {model.fingerprint}. It takes uint8 "
        f"RGB (images, height, width, 3) of any size and resizes to {height}×{width}."
    )
    typer.echo(
        f"Least cosine with the run's embeddings: {parity.cosine:.7f} ({parity.images} images of {parity.data}, in "
        "batches of 1, 4 and 17)."
    )
