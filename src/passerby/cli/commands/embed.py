"""``passerby embed``: compute the embeddings of images and write them to a Parquet file."""

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
    ModelArgument,
    NormalizeOption,
    OverwriteOption,
    SkipBrokenOption,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import progress_bar
from passerby.errors import PasserbyError

if TYPE_CHECKING:
    from passerby.data.images.decode import OnBroken
    from passerby.data.source import Source
    from passerby.gallery.gallery import Gallery
    from passerby.inference.model import Model
    from passerby.types import Sample


@command("embed", panel=Panel.SEARCH, order=0)
def embed(
    run: ModelArgument,
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="Images: a folder, zip, tar, or dataset as NAME:PATH.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.parquet", help="Embeddings to write.")],
    split: Annotated[
        Literal["train", "query", "gallery", "all"] | None,
        typer.Option("--split", help="Split of a dataset (default gallery, or all without one)."),
    ] = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    keypoints: KeypointsOption = None,
    skip_broken: SkipBrokenOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Embed images once and write a gallery file for `passerby search`."""
    from passerby.data.images.open import list_images_and_splits
    from passerby.files import reserved
    from passerby.inference.embeddings_file import check_embeddings_path
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    check_embeddings_path(output)
    with reserved(output, overwrite=overwrite):
        source, samples, splits = list_images_and_splits(images, split)
        options = InferenceOptions(
            device=device, batch_size=batch_size, flip_tta=flip_tta, normalize=normalize, keypoints=keypoints
        )
        broken = BrokenImages(images, skip=skip_broken)
        gallery = embed_gallery(load(run, options), source, samples, splits, on_broken=broken.note)
        gallery.save(output)
    broken.print()
    count = len(broken.errors)
    skipped = f"; {count:,} that cannot be read were skipped" if count else ""
    # scripts read the number: the line begins as in version 0.1
    typer.echo(f"{len(gallery.embeddings):,} pictures of {source.root} are embedded in {output}{skipped}.")


class BrokenImages:
    """The images of a place that cannot be read: the first is an error, or all are skipped and listed."""

    def __init__(self, place: str, *, skip: bool) -> None:
        self.place, self.skip = place, skip
        self.errors: dict[str, PasserbyError] = {}

    def note(self, sample: Sample, error: PasserbyError) -> None:
        """Note an image that cannot be read, or raise its error."""
        from passerby.data.images.decode import with_next_step

        if not self.skip:
            raise with_next_step(error, self.place, "replace them, or embed the others with --skip-broken")
        self.errors[sample.path] = error

    def print(self) -> None:
        """Print what was skipped, on stderr."""
        for error in self.errors.values():
            typer.echo(f"passerby: skipped: {error}", err=True)


def embed_gallery(
    model: Model,
    source: Source,
    samples: Sequence[Sample],
    splits: Sequence[str | None],
    *,
    on_broken: OnBroken | None = None,
) -> Gallery:
    """Embed samples, with a progress bar on stderr; ``on_broken`` decides about images that cannot be read."""
    from passerby.gallery.gallery import Gallery

    with progress_bar("embedding", len(samples)) as advance:
        embeddings = model.embed_samples(source, samples, on_broken=on_broken, progress=advance)
    kept = set(embeddings.paths)
    return Gallery(
        model, embeddings, source, splits=[split for s, split in zip(samples, splits, strict=True) if s.path in kept]
    )
