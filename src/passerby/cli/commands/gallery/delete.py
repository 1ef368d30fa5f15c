"""``passerby gallery delete``: delete rows of a gallery on disk for good."""

from __future__ import annotations

from typing import Annotated

import typer

from passerby.cli.gallery_options import (
    BeforeOption,
    CameraOptions,
    CollectionOption,
    GalleryArgument,
    LikeOption,
    LikeRunOption,
    PersonOptions,
    RowOptions,
    SimilarityOption,
    TagOptions,
    YesOption,
    chosen_rows,
    delete_rows,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError


@command("delete", group="gallery", order=3)
def delete(  # noqa: PLR0913 - options of a command
    gallery: GalleryArgument,
    ids: RowOptions = None,
    person: PersonOptions = None,
    camera: CameraOptions = None,
    before: BeforeOption = None,
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", metavar="N", help="Only images that are older than so many days.")
    ] = None,
    tag: TagOptions = None,
    collection: CollectionOption = None,
    like: LikeOption = None,
    similarity: SimilarityOption = 0.95,
    model: LikeRunOption = None,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Remove the damaged shards that were set aside, and nothing else.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Delete the rows that satisfy all conditions; their bytes are gone from the folder when this ends.

    An image of unknown time is from before a moment if it was added before it.
    """
    from passerby.gallery.audit import Act
    from passerby.gallery.retention import days_ago
    from passerby.gallery.store import Store
    from passerby.gallery.store.where import Where, moment

    store = Store(gallery)
    limits = [moment(before)] if before is not None else []
    limits += [days_ago(keep_days)] if keep_days is not None else []
    where = Where(
        ids=ids or None,
        people=person or (),
        cameras=camera or (),
        tags=tag or (),
        collections=(collection,) if collection is not None else (),
    )
    conditions = where != Where() or bool(limits) or like is not None
    if set_aside and conditions:
        raise ConfigError("--set-aside removes damaged shards whole. Fix: leave the conditions out, or --set-aside")
    if set_aside:
        removed = store.delete([], act=Act("delete", "damaged shards that were set aside"))
        typer.echo(f"{removed.aside:,} rows of damaged shards were removed from {gallery}.")
        return
    if not conditions:
        raise ConfigError("no condition is given, so nothing is deleted. Fix: name rows, --person ID for example")
    chosen, words = chosen_rows(
        store, where, before=min(limits) if limits else None, like=like, similarity=similarity, model=model
    )
    if unknown := sorted(set(ids or ()) - set(store.ids(Where(ids=ids or (), junk=True)))):
        typer.echo(f"passerby: no rows have these IDs: {', '.join(map(str, unknown))}", err=True)
    if not chosen and store.lost:
        raise ConfigError(
            f"no row of {gallery} satisfies the conditions, but the {store.lost:,} rows of damaged shards that were "
            "set aside may be of the same person. Fix: remove these shards with --set-aside"
        )
    if not chosen:
        store.finish_deletions()
        typer.echo(f"No row of {gallery} satisfies the conditions.")
        return
    delete_rows(store, chosen, yes=yes, what="satisfy the conditions", act=Act("delete", words))
