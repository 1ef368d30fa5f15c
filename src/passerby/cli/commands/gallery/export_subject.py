"""``passerby gallery export-subject``: write all that a gallery on disk stores of a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.gallery_options import (
    GalleryArgument,
    ImagesOption,
    LikeOption,
    LikeRunOption,
    PersonOptions,
    RowOptions,
    SimilarityOption,
    chosen_rows,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError, DatasetLayoutError, escape_controls, without_fix

if TYPE_CHECKING:
    from passerby.gallery.stored_images import StoredImages


@command("export-subject", group="gallery", order=7)
def export_subject(
    gallery: GalleryArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make.")],
    ids: RowOptions = None,
    person: PersonOptions = None,
    like: LikeOption = None,
    similarity: SimilarityOption = 0.95,
    model: LikeRunOption = None,
    images: ImagesOption = None,
) -> None:
    """Write all that is stored of the rows that satisfy all conditions: columns, embeddings, thumbnails, images."""
    from passerby.files import check_new_folder
    from passerby.gallery.store import Store
    from passerby.gallery.store.where import Where
    from passerby.gallery.stored_images import images_of
    from passerby.gallery.subject import export_subject as export

    store = Store(gallery)
    check_new_folder(output)
    if ids is None and person is None and like is None:
        raise ConfigError("no condition is given, so nothing is written. Fix: name rows, --person ID for example")
    where = Where(ids=ids or None, people=person or ())
    chosen, words = chosen_rows(store, where, like=like, similarity=similarity, model=model)
    if not chosen:
        raise ConfigError(f"no row of {gallery} satisfies the conditions. Fix: passerby gallery search shows rows")
    source: StoredImages | str
    try:
        source = images_of(store, images)
    except DatasetLayoutError as error:
        source = without_fix(error)
        typer.echo(f"passerby: images are not copied: {source}. Fix: --images PLACE", err=True)
    found = export(store, chosen, output, source, conditions=words)
    for name, why in found.unread.items() if not isinstance(source, str) else ():
        typer.echo(escape_controls(f"passerby: '{name}' was not copied: {why}", one_line=True), err=True)
    typer.echo(
        f"{found.rows:,} rows were written to {output}, with {found.thumbnails:,} thumbnails and copies of "
        f"{found.images:,} images. The folder holds personal data."
    )
