"""The options that the commands of galleries on disk share, and what these commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.errors import ConfigError, escape_controls

if TYPE_CHECKING:
    from passerby.gallery.audit import Act
    from passerby.gallery.store import Store
    from passerby.gallery.store.results import Deleted
    from passerby.gallery.store.where import Where
    from passerby.gallery.stored import StoredGallery

_SHOWN = 10
"""The number of rows that are shown before they are deleted."""

_KEPT: ContextVar[dict[tuple[object, ...], StoredGallery] | None] = ContextVar("_KEPT", default=None)
"""The galleries that are kept open, by what they were opened with; ``None`` where none are."""
GalleryArgument = Annotated[Path, typer.Argument(metavar="GALLERY", help="A gallery on disk, a folder.")]
CameraOptions = Annotated[
    list[int] | None, typer.Option("--camera", metavar="ID", help="Only images of this camera; repeatable.")
]
PersonOptions = Annotated[
    list[int] | None, typer.Option("--person", metavar="ID", help="Only images of this person; repeatable.")
]
TagOptions = Annotated[
    list[str] | None, typer.Option("--tag", metavar="WORD", help="Tag that the images have, or get; repeatable.")
]
CollectionOption = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="Collection that the images belong to.")
]
BeforeOption = Annotated[
    str | None,
    typer.Option("--before", metavar="TIME", help="Only images from before this moment, e.g. 2024-05-01T12:30."),
]
RowOrImageArgument = Annotated[str, typer.Argument(metavar="ID|IMAGE", help="Row by its ID, or an image.")]
OtherRowArgument = Annotated[int, typer.Argument(metavar="ID", help="Row by its ID, as a search shows it.")]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ADDRESS",
        help="Database that proposes candidates, postgresql://… or milvus://… (default none).",
    ),
]
EngineRequiredOption = Annotated[
    bool,
    typer.Option("--engine-required", help="Fail where the gallery's engine does not answer, not search all rows."),
]
RowOptions = Annotated[
    list[int] | None, typer.Option("--id", metavar="ID", help="Row by its ID, as a search shows it; repeatable.")
]
LikeOption = Annotated[
    str | None, typer.Option("--like", metavar="IMAGE", help="Only images like this one; needs --like-run.")
]
SimilarityOption = Annotated[
    float, typer.Option("--similarity", min=-1, max=1, help="Least cosine to the image of --like.")
]
LikeRunOption = Annotated[
    Path | None, typer.Option("--like-run", metavar="RUN", help="Run folder of the gallery's model, for --like.")
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", metavar="PLACE", help="Images of the gallery's rows (default where they were)."),
]
UndoOption = Annotated[bool, typer.Option("--undo", help="Take the last answer, or change, back.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]


def open_gallery(
    run: Path,
    gallery: Path,
    *,
    device: str = "auto",
    batch_size: int = 64,
    keypoints: str | None = None,
    root: str | None = None,
    engine_required: bool = False,
    create: bool = False,
) -> StoredGallery:
    """Open a gallery with its model, which embeds as the gallery's images were embedded.

    Args:
        create: whether to create it if nothing is there.
    """
    from passerby.gallery.store import Store
    from passerby.gallery.stored import StoredGallery
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    kept, key = _KEPT.get(), (str(run), str(gallery), device, batch_size, keypoints, root, engine_required)
    if kept is not None and key in kept:
        kept[key].store.refresh()
        return kept[key]
    if create and not gallery.exists():
        options = InferenceOptions(device=device, batch_size=batch_size, keypoints=keypoints)
        return StoredGallery.create(load(run, options), gallery)
    store = Store(gallery)
    if store.engine is not None:
        store.engine.required = engine_required
    origin = store.manifest.origin
    options = InferenceOptions(
        device=device,
        batch_size=batch_size,
        flip_tta=origin.flip_tta,
        normalize=origin.normalize,
        keypoints=keypoints,
    )
    opened = StoredGallery(load(run, options), store, root)
    if kept is not None:
        kept[key] = opened
    return opened


@contextmanager
def keeping_open() -> Iterator[None]:
    """Keep galleries and models that are opened in memory, for the next command of the same ones."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def answer(gallery: Path, a: str, b: int, *, same: bool) -> None:
    """Record whether an image, or a row, and a row show the same person."""
    from passerby.gallery.feedback.pairs import Feedback
    from passerby.gallery.ingest.contents import content_digest
    from passerby.gallery.store import Store
    from passerby.inference.images import query_image

    if a.isdecimal():
        side: int | str = int(a)
    else:
        image = query_image(a)
        side = content_digest(image.source, image.sample.path).hex()
    given = Feedback(Store(gallery)).answer(side, b, same=same)
    first = f"row {given.a}" if isinstance(given.a, int) else f"{a}, which is not in the gallery,"
    typer.echo(
        f"{first} and row {b}: {'the same person' if same else 'different people'}, as of version {given.version}."
    )


def chosen_rows(
    store: Store,
    where: Where,
    *,
    before: int | None = None,
    like: str | None = None,
    similarity: float = 0.95,
    model: Path | None = None,
) -> tuple[list[int], str]:
    """Return the IDs of the rows that satisfy conditions, and the conditions in words.

    Args:
        before: the moment before which they were taken or, where that is unknown, added.
        like: an image that they are like, by a cosine of at least ``similarity``.
        model: the run that embeds it.

    Raises:
        ConfigError: if there is an image and no run.
    """
    from passerby.gallery.retention import rows_that
    from passerby.gallery.store.where import moment_in_words

    words = [where.in_words()] if where.in_words() else []
    words += [] if before is None else [f"before {moment_in_words(before)}"]
    chosen = rows_that(store, where, before=before)
    if like is not None:
        if model is None:
            raise ConfigError("--like needs the model that embeds the image. Fix: add --like-run RUN")
        chosen = sorted(set(chosen) & set(open_gallery(model, store.path).like(like, similarity)))
        words.append(f"like an image, cosine at least {similarity:g}")
    return chosen, "; ".join(words)


def delete_rows(store: Store, ids: list[int], *, yes: bool, what: str, act: Act) -> None:
    """Show rows, ask, delete them, and print the proof that they are gone.

    Args:
        act: what the gallery's log tells.

    Raises:
        ConfigError: if there is no terminal to ask at.
        OutputError: if vectors are still there.
    """
    from passerby.errors import OutputError

    if not yes:
        _show(store, ids, what)
        if not sys.stdin.isatty():
            raise ConfigError(
                f"{len(ids):,} rows would be deleted for good, and there is no terminal to confirm at. Fix: add --yes"
            )
        typer.confirm(f"Delete {len(ids):,} rows for good?", abort=True)
    deleted = store.delete(ids, act=act)
    if deleted.aside:
        typer.echo(f"{deleted.aside:,} rows of damaged shards, set aside before, were removed, too.")
    if deleted.found:
        raise OutputError(
            f"{deleted.rows:,} rows were deleted, but bytes of {deleted.found:,} of them are still in '{store.path}'. "
            "Fix: passerby gallery verify names the files that do not belong there; remove them"
        )
    typer.echo(f"{deleted.rows:,} rows were deleted from {store.path}{_proof(deleted)}.")
    typer.echo("The images themselves stay where they are: delete them, too, or ingest adds them again.")
    if store.engine is not None and deleted.rows:
        typer.echo(
            f"This holds for the folder alone. Files of the engine {store.engine.address} may hold their vectors "
            f"{store.engine.engine.keeps_deleted}. Next: passerby gallery engine {store.path} rebuild"
        )


def _proof(deleted: Deleted) -> str:
    """Return what is known of the deleted vectors."""
    if not deleted.scanned:
        return ""
    where = f"is in the {deleted.scanned:,} bytes of the folder"
    if not deleted.copies:
        return f": none of their vectors {where}"
    return f": {deleted.copies:,} of their vectors equal vectors of rows that stay, and none of the others {where}"


def _show(store: Store, ids: list[int], what: str) -> None:
    from passerby.gallery.retention import described

    typer.echo(f"{len(ids):,} rows {what}:")
    for row in described(store, ids, _SHOWN):
        known = f"person {'–' if row.pid is None else row.pid}, camera {'–' if row.camid is None else row.camid}"
        typer.echo(escape_controls(f"  {row.id}: {known}, {row.path}", one_line=True))
    if len(ids) > _SHOWN:
        typer.echo(f"  and {len(ids) - _SHOWN:,} more")
