"""``passerby gallery prune``: drop rows whose images are gone."""

from __future__ import annotations

from typing import Annotated

import typer

from passerby.cli.gallery_options import GalleryArgument, ImagesOption, YesOption, delete_rows
from passerby.cli.registry import command
from passerby.errors import escape_controls


@command("prune", group="gallery", order=5)
def prune(
    gallery: GalleryArgument,
    places: Annotated[
        bool,
        typer.Option("--missing-places", help="Also drop the images of places that do not exist or hold none of them."),
    ] = False,
    images: ImagesOption = None,
    yes: YesOption = False,
) -> None:
    """Drop the rows whose images are no longer where they were added from."""
    from passerby.gallery.audit import Act
    from passerby.gallery.retention import gone
    from passerby.gallery.store import Store
    from passerby.gallery.stored_images import images_of

    store = Store(gallery)
    found = gone(store, images_of(store, images))
    ids = list(found.ids)
    for place, rows in sorted(found.places.items()):
        what = "dropped, too" if places else "kept; --missing-places drops them, too"
        typer.echo(
            escape_controls(
                f"'{place}' does not exist or holds none of its images: {len(rows):,} rows are {what}.", one_line=True
            )
        )
        ids += rows if places else []
    if not ids:
        typer.echo(f"No row of {gallery} has lost its image.")
        return
    delete_rows(store, sorted(ids), yes=yes, what="have lost their image", act=Act("prune"))
