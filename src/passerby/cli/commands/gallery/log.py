"""``passerby gallery log``: who searched, changed or exported a gallery on disk, and when."""

from __future__ import annotations

import json
from collections import deque
from typing import Annotated

import typer

from passerby.cli.gallery_options import GalleryArgument
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import escape_controls


@command("log", group="gallery", order=8)
def log(
    gallery: GalleryArgument,
    n: Annotated[int | None, typer.Option("-n", min=1, help="Number of lines, the last ones (default all).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a gallery: who did what and when, under which conditions, with how many rows."""
    from passerby.gallery.store import Store

    lines = deque(Store(gallery).log.lines(), maxlen=n)
    if as_json:
        typer.echo(json.dumps({"gallery": str(gallery), "lines": list(lines)}, indent=2))
        return
    for line in lines:
        who = line["who"] if line["who"] == line["user"] else f"{line['who']} ({line['user']})"
        told = f"{line['at']}  {who}  {line['what']}, {line['rows']:,} rows, version {line['version']}"
        typer.echo(escape_controls(f"{told}: {line['conditions']}" if line["conditions"] else told, one_line=True))
    typer.echo(f"{len(lines):,} lines. passerby gallery verify {gallery} checks that none is missing or changed.")
