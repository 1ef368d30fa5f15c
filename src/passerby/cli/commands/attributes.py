"""``passerby attributes``: what a model says of the people on pictures, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from passerby.cli.options import BatchSizeOption, DeviceOption, KeypointsOption
from passerby.cli.progress import progress_bar
from passerby.cli.registry import Panel, command

if TYPE_CHECKING:
    from passerby.data.source import Source
    from passerby.inference.attributes import AttributePredictions
    from passerby.types import Sample


@command("attributes", panel=Panel.SEARCH, order=2)
def attributes(
    run: Annotated[Path, typer.Argument(help="A run folder of a model that predicts attributes, such as aanet.")],
    images: Annotated[
        list[str], typer.Argument(help="Files, PLACE::NAME, or all pictures of a directory, zip, tar or NAME:PATH.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the probabilities of all values.")] = False,
    batch_size: BatchSizeOption = 64,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
) -> None:
    """Predict attributes: of each picture and group the most probable value, and its probability."""
    from passerby.inference.attributes import schema_of
    from passerby.inference.load import load

    model = load(run, device=device, keypoints=poses, batch_size=batch_size)
    schema = schema_of(model.network)
    batches = _pictures(images)
    found: list[tuple[str, AttributePredictions]] = []
    with progress_bar("attributes", sum(len(batch.samples) for batch in batches)) as advance:
        for batch in batches:
            said = model.predict_attributes(model.embed_samples(batch.source, batch.samples, progress=advance))
            found += zip(batch.names, said, strict=True)
    if as_json:
        pictures = [{"path": name, "attributes": {g: asdict(p) for g, p in each.items()}} for name, each in found]
        typer.echo(json.dumps({"schema": schema.name, "pictures": pictures}, indent=2))
    else:
        _print(found)


class _Batch(NamedTuple):
    """Pictures of one source, and what to call each of them."""

    source: Source
    samples: Sequence[Sample]
    names: Sequence[str]


def _pictures(images: Sequence[str]) -> list[_Batch]:
    """What the arguments mean, in their order; files that follow each other are one batch."""
    from passerby.data.source import is_image

    batches: list[_Batch] = []
    for are_files, group in groupby(images, lambda image: Path(image).expanduser().is_file() and is_image(image)):
        together = list(group)
        batches += [_files(together)] if are_files else map(_place, together)
    return batches


def _files(images: list[str]) -> _Batch:
    from passerby.inference.images import collect_images

    return _Batch(*collect_images(images), images)


def _place(image: str) -> _Batch:
    from passerby.data.images.open import QueryImage, list_images
    from passerby.data.source import is_image

    meant_as_file = is_image(image) and not Path(image).expanduser().exists()
    if "::" in image or meant_as_file:  # the query says that there is none
        query = QueryImage.of(image)
        return _Batch(query.source, [query.sample], [image])
    source, samples = list_images(image, "all")
    return _Batch(source, samples, [f"{image}::{sample.path}" for sample in samples])


def _print(found: Sequence[tuple[str, AttributePredictions]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    for name, description in found:
        table = Table(box=None, pad_edge=False, show_header=False)
        for group, said in description.items():
            table.add_row(group, said.value, f"{said.probability:.2f}")
        console.print(name, soft_wrap=True)
        console.print(table)
