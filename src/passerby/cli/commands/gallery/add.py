"""``passerby gallery add``: embed images into a gallery on disk."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from passerby.cli.gallery_options import CollectionOption, GalleryArgument, TagOptions, open_gallery
from passerby.cli.options import BatchSizeOption, DeviceOption, KeypointsOption, ModelArgument
from passerby.cli.registry import command
from passerby.errors import escape_controls


@command("add", group="gallery", order=1)
def add(
    run: ModelArgument,
    gallery: GalleryArgument,
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="Images: a file, folder, zip, tar, or dataset as NAME:PATH.")
    ],
    split: Annotated[
        Literal["train", "query", "gallery", "all"] | None,
        typer.Option("--split", help="Split of a dataset (default gallery, or all without one)."),
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option("--camera-id", metavar="ID", help="Camera of all these images (default as their place tells)."),
    ] = None,
    taken: Annotated[
        str | None,
        typer.Option("--taken", metavar="TIME", help="Moment when they were taken, e.g. 2024-05-01T12:30."),
    ] = None,
    tag: TagOptions = None,
    collection: CollectionOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")] = False,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
) -> None:
    """Embed images and add those that the gallery does not hold yet, by the content of their files."""
    from passerby.cli.results import progress_bar
    from passerby.data.images.open import list_images
    from passerby.inference.images import is_place

    opened = open_gallery(run, gallery, device=device, batch_size=batch_size, keypoints=keypoints)
    total = len(list_images(images, split)[1]) if is_place(images) else 1
    with progress_bar("adding", total) as advance:
        added = opened.add(
            images, split=split, camera=camera, taken=taken, tags=tag or (), collection=collection, strict=strict,
            progress=advance,
        )  # fmt: skip
    for error in added.broken.values():
        typer.echo(f"passerby: skipped: {escape_controls(str(error), one_line=True)}", err=True)
    parts = [f"{len(added.ids):,} images were added to {gallery}"]
    parts += [f"{added.known:,} were there already"] if added.known else []
    parts += [f"{len(added.broken):,} that cannot be read were skipped"] if added.broken else []
    typer.echo(f"{'; '.join(parts)}.")
