"""``passerby gallery create``: an empty gallery on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.options import FlipTtaOption, ModelArgument, NormalizeOption
from passerby.cli.registry import command


@command("create", group="gallery", order=0)
def create(
    run: ModelArgument,
    gallery: Annotated[Path, typer.Argument(metavar="GALLERY", help="Folder to make.")],
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Create an empty gallery, whose images this model will embed."""
    from passerby.gallery.stored import StoredGallery
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    model = load(run, InferenceOptions(flip_tta=flip_tta, normalize=normalize))
    StoredGallery.create(model, gallery)
    typer.echo(f"{gallery} is an empty gallery of {model.card.name}. Add images: passerby gallery add RUN {gallery} …")
