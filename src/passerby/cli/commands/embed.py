"""``passerby embed``: pictures become a Parquet file of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import (
    BatchSizeOption,
    DeviceOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    OverwriteOption,
    RunArgument,
)
from passerby.cli.progress import progress_bar
from passerby.cli.registry import Panel, command
from passerby.errors import OutputError

if TYPE_CHECKING:
    from passerby.data.source import Source
    from passerby.gallery.gallery import Gallery
    from passerby.inference.model import Model
    from passerby.types import Sample


@command("embed", panel=Panel.SEARCH, order=0)
def embed(
    run: RunArgument,
    folder: Annotated[str, typer.Argument(help="The pictures: a directory, a zip or tar, or NAME:PATH.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .parquet file to write.")],
    split: Annotated[
        Literal["train", "query", "gallery", "all"] | None,
        typer.Option(help="Of a dataset; default: its gallery if it has one, else all."),
    ] = None,
    batch_size: BatchSizeOption = 64,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Embed every picture once, so that searches need not."""
    from passerby.data.images.open import list_images
    from passerby.files import check_target
    from passerby.inference.load import load

    if output.suffix != ".parquet":
        raise OutputError(f"embeddings are written as Parquet: end the output in .parquet, got {output}")
    check_target(output, overwrite=overwrite)
    source, samples = list_images(folder, split)
    gallery = embed_with_bar(
        load(run, device=device, keypoints=poses, flip_tta=flip, normalize=normalize, batch_size=batch_size),
        source,
        samples,
    )
    gallery.save(output)
    typer.echo(f"{len(gallery.embeddings):,} pictures of {source.root} are embedded in {output}.")


def embed_with_bar(model: Model, source: Source, samples: Sequence[Sample]) -> Gallery:
    """Embed samples while a bar on stderr shows how far it is."""
    from passerby.gallery.gallery import Gallery

    with progress_bar("embedding", len(samples)) as advance:
        embeddings = model.embed_samples(source, samples, progress=advance)
    return Gallery(model, embeddings, source)
