"""``passerby search``: one picture in, the nearest pictures of a gallery out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.embed import embed_with_bar
from passerby.cli.options import Device, Flip, Normalise, Poses

if TYPE_CHECKING:
    from passerby.evaluation.predictor import Predictor
    from passerby.gallery.gallery import Gallery, Query
    from passerby.types import Hit


def search(
    run: Annotated[Path, typer.Argument(help="A run folder, as train or import-weights makes it.")],
    query: Annotated[str, typer.Argument(help="The picture: a file, or PLACE::NAME in a directory, zip or tar.")],
    gallery: Annotated[str, typer.Option(help="A .parquet file of passerby embed; or pictures as embed takes them.")],
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many; default: 10, or all where fewer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "cpu",
    poses: Poses = None,
    flip: Flip = None,
    normalise: Normalise = None,
    figure: Annotated[Path | None, typer.Option(help="Draw the query and what was found to this PNG.")] = None,
) -> None:
    """Find the pictures nearest to one picture."""
    from passerby.files import check_target
    from passerby.gallery.figure import save_strip, strip
    from passerby.gallery.gallery import Query
    from passerby.training.checkpoint import load

    if figure:
        check_target(figure, overwrite=True)
    picture = Query.of(query)
    image = picture.image  # a query that cannot be read ends here, not after a gallery was embedded
    opened = _open(load(run, device=device, poses=poses, flip=flip, normalise=normalise), gallery)
    hits = opened.search(picture, k)
    if figure:
        found = [(hit, opened.image(hit)) for hit in hits]
        save_strip(strip(image, found, pid=picture.pid, camid=picture.sample.camid), figure)
    if as_json:
        typer.echo(json.dumps(_plain(query, picture, gallery, hits), indent=2))
    else:
        _print(query, picture, hits, figure)


def _open(predictor: Predictor, gallery: str) -> Gallery:
    from passerby.gallery.gallery import Gallery, pictures

    if gallery.endswith(".parquet"):
        return Gallery.from_parquet(predictor, gallery)
    return embed_with_bar(predictor, *pictures(gallery))


def _plain(name: str, query: Query, gallery: str, hits: Sequence[Hit]) -> dict[str, Any]:
    """The whole answer as plain values; what is unknown is null."""
    asked = {"path": name, "pid": query.pid, "camid": query.sample.camid}
    return {"query": asked, "gallery": gallery, "hits": [asdict(hit) for hit in hits]}


def _print(name: str, query: Query, hits: Sequence[Hit], figure: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    who = f" (person {query.pid}, camera {query.sample.camid})" if query.pid is not None else ""
    typer.echo(f"Nearest to {name}{who}:")
    table = Table(box=None, pad_edge=False)
    for heading in ("rank", "distance", "person", "camera"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("path", overflow="fold")
    for hit in hits:
        known = ("–" if label is None else str(label) for label in (hit.pid, hit.camid))
        table.add_row(str(hit.rank), f"{hit.distance:.4f}", *known, hit.path)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a path in a pipe stays in one piece
    console.print(table)
    if figure:
        typer.echo(f"The pictures are in {figure}.")
