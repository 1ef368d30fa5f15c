"""``passerby gallery add``: embed images into a gallery on disk."""

from __future__ import annotations

from typing import Annotated

import typer

from passerby.cli.gallery_options import CollectionOption, GalleryArgument, TagOptions, open_gallery
from passerby.cli.ingest_options import (
    Additions,
    CameraIdOption,
    NamePatternOption,
    SplitOption,
    StrictOption,
    TakenOption,
    ThumbnailsOption,
    ingest_options,
)
from passerby.cli.options import BatchSizeOption, BlurOption, DeviceOption, KeypointsOption, ModelArgument
from passerby.cli.registry import command


@command("add", group="gallery", order=1)
def add(  # noqa: PLR0913 - options of a command
    run: ModelArgument,
    gallery: GalleryArgument,
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="Images: a file, folder, zip, tar, or dataset as NAME:PATH.")
    ],
    split: SplitOption = None,
    camera: CameraIdOption = None,
    taken: TakenOption = None,
    name_pattern: NamePatternOption = None,
    tag: TagOptions = None,
    collection: CollectionOption = None,
    thumbnails: ThumbnailsOption = False,
    blur: BlurOption = None,
    strict: StrictOption = False,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
) -> None:
    """Embed images and add those that the gallery does not hold yet; `passerby ingest` takes several sources."""
    from passerby.gallery.ingest.inputs import open_input

    options = ingest_options(
        split=split, camera=camera, taken=taken, tags=tag, collection=collection, names=name_pattern,
        thumbnails=thumbnails, blur=blur, strict=strict,
    )  # fmt: skip
    inputs = [open_input(images, options)]
    additions = Additions(gallery, options)
    opened = open_gallery(run, gallery, device=device, batch_size=batch_size, keypoints=keypoints)
    additions.add(lambda given, progress: opened.ingest(given, options, progress=progress), inputs)
    additions.print(as_json=False)
    additions.check()
