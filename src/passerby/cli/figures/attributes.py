"""``passerby figures attributes``: the activation maps of predicted attributes (AANet, Fig 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.evaluation import GIVE_LABELS, OWN
from passerby.cli.figures.model_options import ModelOptions
from passerby.cli.figures.sample_options import SampleOptions
from passerby.cli.generated_figures import NumberOption
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


@command("attributes", group="figures", order=7)
def attributes(
    run: RunArgument,
    data: RequiredDataOption,
    output: FigureOption,
    query: QueryOption = None,
    n: NumberOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--attribute-labels",
            metavar="FILE|own",
            help="True attributes to mark predictions by: a .mat or .csv file, or own (default own of synthetic data).",
        ),
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=1, help="Pixels between positions of a finer map (default as in the model).")
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
) -> None:
    """Draw images with the map, value and probability of every predicted attribute."""
    from passerby.explain.images import view_samples
    from passerby.figures.attributes import attribute_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.attributes import schema_of
    from passerby.inference.options import InferenceOptions

    check_figure(output)
    samples = SampleOptions(query, n, seed)
    options = ModelOptions((run,), data, InferenceOptions(device=device, keypoints=keypoints, blur=blur))
    [model] = options.load()
    truth = _truth(labels, schema_of(model), options.dataset.source)
    view = view_samples(model, options.images, samples.select(options.dataset))
    save_figure(attribute_figure(view, truth, title=options.title("Attributes", model), step=step), output)
    typer.echo(f"The figure is in {output}.")


def _truth(labels: str | None, schema: Schema, source: Source) -> Attributes | None:
    """Read the true attributes, if they are given or the data is synthetic."""
    from passerby.data.attributes.labels import read_attributes

    if labels is not None:
        return read_attributes(source if labels == OWN else labels, schema, fix=GIVE_LABELS)
    if not source.is_synthetic:
        return None
    try:
        own = read_attributes(source)
    except DatasetLayoutError:  # a part of an exported set, without its table
        return None
    return own if own.schema == schema else None
