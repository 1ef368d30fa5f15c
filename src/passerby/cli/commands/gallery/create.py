"""``passerby gallery create``: an empty gallery on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.gallery_options import EngineOption
from passerby.cli.options import FlipTtaOption, ModelArgument, NormalizeOption
from passerby.cli.registry import command


@command("create", group="gallery", order=0)
def create(
    run: ModelArgument,
    gallery: Annotated[Path, typer.Argument(metavar="GALLERY", help="Folder to make.")],
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    engine: EngineOption = None,
    stripes: Annotated[
        bool, typer.Option("--stripes", help="Also store stripe vectors, for search --distance local.")
    ] = False,
) -> None:
    """Create an empty gallery, whose images this model will embed."""
    from passerby.gallery.engines.address import parsed
    from passerby.gallery.stored import StoredGallery
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    if engine is not None:
        parsed(engine)
    model = load(run, InferenceOptions(flip_tta=flip_tta, normalize=normalize))
    made = StoredGallery.create(model, gallery, stripes=stripes)
    if engine is not None:
        try:
            made.store.attach(engine)
        except BaseException:
            shutil.rmtree(gallery)
            raise
    typer.echo(f"{gallery} is an empty gallery of {model.card.name}. Add images: passerby gallery add RUN {gallery} …")
