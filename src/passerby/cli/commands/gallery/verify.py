"""``passerby gallery verify``: check every byte of a gallery on disk."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.gallery_options import GalleryArgument
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import escape_controls

if TYPE_CHECKING:
    from torch import Tensor


@command("verify", group="gallery", order=4)
def verify(
    gallery: GalleryArgument,
    absent: Annotated[
        list[str] | None,
        typer.Option(
            "--absent",
            metavar="IMAGES|FILE.parquet",
            help="Images or embeddings that must not be in the gallery's files; repeatable.",
        ),
    ] = None,
    absent_id: Annotated[
        list[int] | None, typer.Option("--absent-id", metavar="ID", help="Row that must not be there; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the digest of every file, that no others are there, the log, and that what was deleted is absent."""
    from passerby.gallery.store.verify import verify as check

    vectors, contents = _wanted(absent or [])
    found = check(gallery, vectors=vectors, contents=contents, ids=absent_id or ())
    if as_json:
        typer.echo(json.dumps({"gallery": str(gallery), **asdict(found)}, indent=2))
    else:
        for problem in found.problems:
            typer.echo(escape_controls(f"problem: {problem}", one_line=True))
        state = f"{len(found.problems):,} problems" if found.problems else "no problems"
        for note in found.log.notes:
            typer.echo(escape_controls(f"note: {note}", one_line=True))
        typer.echo(f"{gallery}: {found.rows:,} rows in {found.files:,} files of {found.bytes:,} bytes; {state}.")
        if found.log.lines:
            whole = "is broken" if found.log.problems else "is whole"
            typer.echo(f"Its log has {found.log.lines:,} lines, and the chain {whole}; last hash {found.log.last}.")
        if contents or vectors is not None or absent_id:
            known = len(contents) + (0 if vectors is None else len(vectors)) + len(absent_id or ())
            typer.echo(f"Looked for {known:,} images, embeddings or rows that should be absent.")
    if found.problems:
        raise typer.Exit(1)


def _wanted(absent: list[str]) -> tuple[Tensor | None, list[bytes]]:
    """Return the embeddings of files, and the digests of images."""
    import torch

    from passerby.gallery.ingest.contents import content_digest
    from passerby.inference.embeddings_file import read_embeddings
    from passerby.inference.images import collect_images

    vectors, contents = [], list[bytes]()
    for each in absent:
        if Path(each).suffix in (".parquet", ".npz"):
            vectors.append(read_embeddings(each).embeddings.embedding)
        else:
            source, samples = collect_images(each)
            contents += [content_digest(source, sample.path) for sample in samples]
    return (torch.cat(vectors) if vectors else None), contents
