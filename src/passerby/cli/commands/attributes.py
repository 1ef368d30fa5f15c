"""``passerby attributes``: predict the attributes of the people in images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from passerby.cli.options import BatchSizeOption, DeviceOption, JsonOption, KeypointsOption, ModelArgument
from passerby.cli.registry import Panel, command
from passerby.cli.results import progress_bar
from passerby.errors import escape_controls

if TYPE_CHECKING:
    from passerby.data.source import Source
    from passerby.inference.attributes import AttributePredictions
    from passerby.types import Sample


@command("attributes", panel=Panel.SEARCH, order=2)
def attributes(
    run: ModelArgument,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…", help="Images: files, PLACE::NAME, folders, zips, tars or NAME:PATH."),
    ],
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict attributes with a model such as aanet: the most probable value per image and attribute."""
    from passerby.inference.attributes import schema_of
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    model = load(run, InferenceOptions(device=device, batch_size=batch_size, keypoints=keypoints))
    schema = schema_of(model)
    batches = _batches(images)
    found: list[tuple[str, AttributePredictions]] = []
    with progress_bar("attributes", sum(len(batch.samples) for batch in batches)) as advance:
        for batch in batches:
            predictions = model.predict_attributes(model.embed_samples(batch.source, batch.samples, progress=advance))
            found += zip(batch.names, predictions, strict=True)
    if as_json:
        entries = [{"path": name, "attributes": {g: asdict(p) for g, p in each.items()}} for name, each in found]
        typer.echo(json.dumps({"schema": schema.name, "images": entries}, indent=2))
    else:
        _print(found)


class _Batch(NamedTuple):
    """A batch of images of one source, with the names to print."""

    source: Source
    samples: Sequence[Sample]
    names: Sequence[str]


def _batches(images: Sequence[str]) -> list[_Batch]:
    """Return the images of the arguments, in order; consecutive files are one batch."""
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

    is_missing_file = is_image(image) and not Path(image).expanduser().exists()
    if "::" in image or is_missing_file:  # QueryImage raises the error of a missing file
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
        for group, predicted in description.items():
            words = (escape_controls(text, one_line=True) for text in (group, predicted.value))
            table.add_row(*words, f"{predicted.probability:.2f}")
        console.print(escape_controls(name, one_line=True), soft_wrap=True)
        console.print(table)
