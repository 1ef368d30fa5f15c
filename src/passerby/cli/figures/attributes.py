"""``passerby figures attributes``: where a model sees what it says of people (AANet, Fig 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.figures.sample_options import Shown
from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FigureOption,
    KeypointsOption,
    QueryOption,
    RequiredDataOption,
    RunArgument,
    SampleSeedOption,
)
from passerby.cli.registry import command
from passerby.errors import DatasetLayoutError

if TYPE_CHECKING:
    from passerby.data.attributes.labels import Attributes
    from passerby.data.attributes.schema import Schema
    from passerby.data.source import Source

_PICTURES = 4


@command("attributes", group="figures", order=7)
def attributes(
    run: RunArgument,
    data: RequiredDataOption,
    output: FigureOption,
    query: QueryOption = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help=f"How many pictures ({_PICTURES}).")] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            "--attribute-labels",
            metavar="FILE|own",
            help="Say which are right, by those of the data, .mat or .csv; default: own of people who do not exist.",
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(min=1, help="Maps finer than the model's: a position every so many pixels, of pictures moved."),
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
) -> None:
    """Draw pictures with the attributes predicted of them: where each is seen, its value and probability."""
    from passerby.figures.attributes import attribute_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.attributes import schema_of

    check_figure(output)
    shown = Shown(run, data, tuple(query or ()), n, seed, blur, device, poses)
    model = shown.load()
    schema, dataset = schema_of(model.network), shown.dataset()
    known = _truth(truth, dataset.source, schema)
    seen = shown.look(model, dataset, n=_PICTURES)
    save_figure(attribute_figure(seen, known, title=shown.title("Attributes", model), step=step), output)
    typer.echo(f"The figure is in {output}.")


def _truth(text: str | None, source: Source, schema: Schema) -> Attributes | None:
    """What people wear, as far as somebody is asked, or knows it surely."""
    from passerby.data.attributes.labels import read_attributes

    if text is not None:
        return read_attributes(source if text == "own" else text, schema)
    if not source.is_synthetic:
        return None
    try:
        drawn = read_attributes(source)
    except DatasetLayoutError:  # a part of a written set, without its table
        return None
    return drawn if drawn.schema == schema else None
