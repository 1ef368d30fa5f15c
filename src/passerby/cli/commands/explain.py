"""``passerby explain``: explain the distance of two images as a sentence, numbers and a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    ImageArgument,
    JsonOption,
    KeypointsOption,
    OptionalFigureOption,
    RunArgument,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import calibration_note
from passerby.errors import escape_controls

if TYPE_CHECKING:
    from passerby.data.source import Source
    from passerby.explain.images import ImageSet
    from passerby.explain.matching.explanation import MatchExplanation
    from passerby.inference.options import InferenceOptions
    from passerby.types import Sample


@command("explain", panel=Panel.EVALUATE, order=3)
def explain(
    run: RunArgument,
    a: ImageArgument,
    b: ImageArgument,
    confident: Annotated[
        float,
        typer.Option("--confident", min=0, max=1, help="Probability from which predicted attributes count."),
    ] = 0.8,
    output: OptionalFigureOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why a model does, or does not, match two images: parts, attributes, alignment, saliency."""
    from passerby.explain.matching.explanation import explain_match
    from passerby.figures.match import match_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    if output:
        check_figure(output)
    (source_a, sample_a), (source_b, sample_b) = _find_image(a), _find_image(b)
    options = InferenceOptions(device=device, keypoints=keypoints, blur=blur)
    model = load(run, options)
    images = _image_set(source_a, options), _image_set(source_b, options)
    found = explain_match(
        model, images[0], sample_a, images[1], sample_b, confident=confident, saliency=output is not None
    )
    if output:
        places = " and ".join(dict.fromkeys(source.root.resolve().name for source in (source_a, source_b)))
        title = f"run {run.resolve().name}, model {found.model}, images of {places}"
        save_figure(match_figure(found, title=title), output)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    _print(found)
    if output:
        typer.echo(f"The figure is in {output}.")


def _find_image(name: str) -> tuple[Source, Sample]:
    """Return an image's source and labels; the source of a file is its folder."""
    from passerby.data.images.open import QueryImage
    from passerby.data.source import DirectorySource
    from passerby.types import Sample

    query = QueryImage.of(name)
    if query.within is not None:
        return query.within, query.sample
    file = Path(query.sample.path).expanduser()
    return DirectorySource(file.parent), Sample(path=file.name)


def _image_set(source: Source, options: InferenceOptions) -> ImageSet:
    """Return the images of a source; given keypoints also locate the heads to blur."""
    from passerby.explain.images import ImageSet
    from passerby.inference.keypoint_source import pose_estimator

    estimator = pose_estimator(options.keypoints, source) if options.keypoints else None
    return ImageSet(source, blur=options.blur, keypoints=estimator)


def _print(found: MatchExplanation) -> None:
    from rich.console import Console
    from rich.table import Table

    from passerby.explain.format import format_number, format_probability

    typer.echo(escape_controls(found.sentence, one_line=True))
    typer.echo(f"\ndistance {format_number(found.distance)} ({found.protocol})")
    if found.same_person is not None:
        typer.echo(f"{format_probability(found.same_person).replace('P', 'P(same person)')}, {found.verdict}")
        typer.echo(calibration_note(f"{found.calibrated_on}"))
    if found.alignment:
        typer.echo(
            f"alignment of stripes {format_number(found.alignment.distance)}, in {len(found.alignment.steps)} steps"
        )
    console = Console(markup=False, highlight=False)
    if found.parts:
        table = Table("part", box=None, pad_edge=False)
        for heading in ("distance", "dissimilarity"):
            table.add_column(heading, justify="right")
        for part in found.parts:
            table.add_row(part.name, format_number(part.distance), f"{part.dissimilarity:.3f}")
        console.print(table)
    if found.attributes:
        table = Table("attribute", "first", "second", "", box=None, pad_edge=False)
        for row in found.attributes:
            values = f"{row.a} ({row.probability_a:.2f})", f"{row.b} ({row.probability_b:.2f})"
            table.add_row(*(escape_controls(text, one_line=True) for text in (row.group, *values, row.judged)))
        console.print(table)
