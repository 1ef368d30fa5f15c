"""``passerby gallery stats``: what a gallery on disk holds."""

from __future__ import annotations

import json

import typer

from passerby.cli.gallery_options import GalleryArgument
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import escape_controls


@command("stats", group="gallery", order=6)
def stats(gallery: GalleryArgument, as_json: JsonOption = False) -> None:
    """Print what a gallery holds: images, people, tracklets, cameras, times, tags, its model, its size and its log."""
    from passerby.gallery.retention import summary
    from passerby.gallery.store import Store

    found = summary(Store(gallery))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        words = ", ".join(map(str, value.values() if isinstance(value, dict) else value)) if _many(value) else value
        typer.echo(escape_controls(f"{name:12} {'–' if words in (None, '') else words}", one_line=True))


def _many(value: object) -> bool:
    return isinstance(value, (list, dict))
