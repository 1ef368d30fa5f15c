"""``passerby explain``: what a run sees in two pictures, as a sentence, numbers and a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    JsonOption,
    KeypointsOption,
    OptionalFigureOption,
    RunArgument,
)
from passerby.cli.registry import Panel, command

if TYPE_CHECKING:
    from passerby.data.source import Source
    from passerby.explain.images import ImageSet
    from passerby.explain.matching.explanation import MatchExplanation
    from passerby.types import Sample


@command("explain", panel=Panel.EVALUATE, order=3)
def explain(
    run: RunArgument,
    a: Annotated[str, typer.Argument(help="A picture: a file, or PLACE::NAME in a directory, zip, tar or data set.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    output: OptionalFigureOption = None,
    as_json: JsonOption = False,
    confident: Annotated[
        float, typer.Option(min=0, max=1, help="A predicted attribute less probable than this counts for nothing.")
    ] = 0.8,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
) -> None:
    """Say why two pictures are, or are not, of the same person for a model."""
    from passerby.explain.matching.explanation import explain_match
    from passerby.figures.match import match_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.load import load

    if output:
        check_figure(output)
    (source_a, sample_a), (source_b, sample_b) = _picture(a), _picture(b)
    model = load(run, device=device, keypoints=poses)
    albums = _album(source_a, blur, poses), _album(source_b, blur, poses)
    found = explain_match(
        model, albums[0], sample_a, albums[1], sample_b, confident=confident, saliency=output is not None
    )
    if output:
        places = " and ".join(dict.fromkeys(source.root.resolve().name for source in (source_a, source_b)))
        title = f"run {run.resolve().name}, model {found.model}, pictures of {places}"
        save_figure(match_figure(found, title=title), output)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    _print(found)
    if output:
        typer.echo(f"All of it is drawn in {output}.")


def _picture(name: str) -> tuple[Source, Sample]:
    """Where a picture is, and what is known of it; the place of a file is its folder."""
    from passerby.data.images.open import QueryImage
    from passerby.data.source import DirectorySource
    from passerby.types import Sample

    query = QueryImage.of(name)
    if query.within is not None:
        return query.within, query.sample
    file = Path(query.sample.path).expanduser()
    return DirectorySource(file.parent), Sample(path=file.name)


def _album(source: Source, blur: bool | None, poses: str | None) -> ImageSet:
    """Heads are where joints are, by whomever ``--poses`` names, else as the album finds them."""
    from passerby.explain.images import ImageSet
    from passerby.inference.keypoint_source import pose_estimator

    return ImageSet(source, blur=blur, keypoints=pose_estimator(poses, source) if poses else None)


def _print(found: MatchExplanation) -> None:
    from rich.console import Console
    from rich.table import Table

    from passerby.explain.format import format_number, format_probability

    typer.echo(found.sentence)
    typer.echo(f"\ndistance {format_number(found.distance)} ({found.protocol})")
    if found.same_person is not None:
        typer.echo(f"{format_probability(found.same_person).replace('P', 'P(same person)')}, {found.verdict}")
    if found.alignment:
        typer.echo(
            f"alignment of stripes {format_number(found.alignment.distance)}, in {len(found.alignment.steps)} steps"
        )
    console = Console(markup=False, highlight=False)
    if found.parts:
        table = Table("part", box=None, pad_edge=False)
        for heading in ("distance", "unlikeness"):
            table.add_column(heading, justify="right")
        for part in found.parts:
            table.add_row(part.name, format_number(part.distance), f"{part.dissimilarity:.3f}")
        console.print(table)
    if found.attributes:
        table = Table("attribute", "first", "second", "", box=None, pad_edge=False)
        for row in found.attributes:
            said = f"{row.a} ({row.probability_a:.2f})", f"{row.b} ({row.probability_b:.2f})"
            table.add_row(row.group, *said, row.judged)
        console.print(table)
