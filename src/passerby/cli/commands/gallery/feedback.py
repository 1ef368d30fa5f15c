"""``passerby gallery feedback``: the confirmed and rejected pairs of a gallery on disk."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from passerby.cli.gallery_options import GalleryArgument, UndoOption
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import ConfigError


@command("feedback", group="gallery", order=9)
def feedback(
    gallery: GalleryArgument,
    undo: UndoOption = False,
    drop: Annotated[
        Literal["pairs", "groups", "calibration"] | None,
        typer.Option("--drop", help="Remove all answers about pairs, all groups or the calibration, damaged or not."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the pairs of images that were confirmed or rejected to show the same person."""
    from passerby.gallery.feedback.pairs import Feedback
    from passerby.gallery.store import Store

    if undo and drop is not None:
        raise ConfigError("--undo removes one answer, --drop all. Fix: give one of them")
    store = Store(gallery)
    if drop is not None:
        store.drop_note(drop)
        typer.echo(f"{gallery} has no {drop} any more.")
        return
    answers = Feedback(store)
    if undo:
        undone = answers.undo()
        typer.echo(f"Undone: {undone.a} and {undone.b} were {_word(same=undone.same)}.")
        return
    found = answers.all()
    if as_json:
        typer.echo(json.dumps({"gallery": str(gallery), "pairs": [each.model_dump() for each in found]}, indent=2))
        return
    for each in found:
        typer.echo(f"{each.a} and {each.b}: {_word(same=each.same)}")
    typer.echo(f"{gallery} has {len(found):,} answers about pairs.")


def _word(*, same: bool) -> str:
    return "confirmed" if same else "rejected"
