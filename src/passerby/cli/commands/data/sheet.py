"""``passerby data sheet``: a contact sheet of people and cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.cli.options import BlurOption, DatasetArgument
from passerby.cli.registry import command


@command("sheet", group="data", order=2)
def sheet(
    data: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .png or .jpg to write.")],
    people: Annotated[int, typer.Option(min=1, help="Columns.")] = 12,
    cameras: Annotated[int, typer.Option(min=1, help="Rows.")] = 6,
    split: Annotated[
        Literal["train", "query", "gallery"] | None, typer.Option(help="People of it only; default: of all.")
    ] = None,
    show_keypoints: Annotated[
        bool, typer.Option("--show-keypoints", help="Draw the keypoints of datasets that have them.")
    ] = False,
    twins: Annotated[bool, typer.Option("--twins", help="Only people with a twin, where that is known.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")] = False,
    blur: BlurOption = None,
) -> None:
    """Draw a contact sheet: people across, cameras down."""
    from passerby.data.registry import load
    from passerby.explain.images import ImageSet
    from passerby.figures.contact_sheet import check_sheet_path, contact_sheet, save_sheet
    from passerby.files import check_target

    check_sheet_path(output)
    check_target(output, overwrite=overwrite)
    dataset = load(data)
    drawn = contact_sheet(
        dataset,
        split=split,
        count=people,
        cameras=cameras,
        keypoints=show_keypoints,
        twins=twins,
        image=ImageSet(dataset.source, blur=blur).image,
    )
    save_sheet(drawn, output)
    typer.echo(f"The people are in {output}.")
