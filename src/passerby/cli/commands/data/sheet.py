"""``passerby data sheet``: a contact sheet of people and cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.cli.options import BlurOption, DatasetArgument, OverwriteOption
from passerby.cli.registry import command


@command("sheet", group="data", order=2)
def sheet(
    data: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.png|.jpg", help="Contact sheet to write.")],
    people: Annotated[int, typer.Option("--people", min=1, help="Number of identities, the columns.")] = 12,
    cameras: Annotated[int, typer.Option("--cameras", min=1, help="Number of cameras, the rows.")] = 6,
    split: Annotated[
        Literal["train", "query", "gallery"] | None, typer.Option("--split", help="Split to show (default all).")
    ] = None,
    show_keypoints: Annotated[
        bool, typer.Option("--show-keypoints", help="Draw the keypoints that come with the dataset.")
    ] = False,
    twins: Annotated[bool, typer.Option("--twins", help="Show only synthetic identities that have a twin.")] = False,
    overwrite: OverwriteOption = False,
    blur: BlurOption = None,
) -> None:
    """Draw a contact sheet with one column per identity and one row per camera."""
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
    typer.echo(f"The contact sheet is in {output}.")
