"""``passerby evaluate``: a trained model and a dataset become numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.evaluation import Asked, evaluated
from passerby.cli.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    FlipTtaOption,
    JsonOption,
    KeypointsOption,
    NormalizeOption,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_result
from passerby.cli.subgroups import print_slices

if TYPE_CHECKING:
    from passerby.metrics.subgroups import Subgroup
    from passerby.types import EvalResult


@command("evaluate", panel=Panel.EVALUATE, order=0)
def evaluate(  # noqa: PLR0913 - options of a command
    run: Annotated[Path | None, typer.Argument(help="A run folder, as train or import-weights makes it.")] = None,
    data: DataOption = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz|.parquet", help="Embeddings of anybody's instead of a run and data; docs/evaluation.md."
        ),
    ] = None,
    distance: Annotated[
        Literal["global", "local", "global_local"], typer.Option(help="What is compared: embeddings, stripes, or both.")
    ] = "global",
    ap: Annotated[
        Literal["step", "trapezoid"],
        typer.Option(help="Average precision; trapezoid is the original Market-1501 code's."),
    ] = "step",
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|own",
            help="Also compare predicted attributes with those of the gallery's people: own of the data, .mat, .csv. "
            "With --slices attributes: what people wear.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of galleries with one picture a person; 0: the whole gallery; default: as the run or data has it.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draws; default: as the run says (0).")] = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    multi_query: Annotated[
        Literal["mean", "max"] | None,
        typer.Option(help="All pictures of a query's person by its camera ask as one (Market-1501's gt_bbox)."),
    ] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbors.")] = False,
    k1: Annotated[int | None, typer.Option(min=1, help="Of --rerank: neighbors an encoding rests on (20).")] = None,
    k2: Annotated[int | None, typer.Option(min=1, help="Of --rerank: neighbors it is averaged over (6).")] = None,
    lam: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of --rerank: share of the distance itself (0.3).")
    ] = None,
    torchreid_compat: Annotated[
        bool,
        typer.Option("--torchreid-compat", help="Of --rerank: square distances once more, as torchreid and fast-reid."),
    ] = False,
    open_set: Annotated[
        bool, typer.Option("--open-set", help="Also tell same from different by distance alone: EER, TPR at FMR.")
    ] = False,
    batch_size: BatchSizeOption = 64,
    save_features: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Keep the embeddings, for --features.")
    ] = None,
    per_query: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write what became of each query.")] = None,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="DIMENSIONS",
            help="For whom is it worse? Any of cameras, attributes, visibility, with commas: by pair of cameras, by "
            "what people wear, by joints that can be seen.",
        ),
    ] = None,
    slices_figure: Annotated[Path | None, typer.Option(metavar="FILE.png|.pdf|.svg", help="Draw the slices.")] = None,
    as_json: JsonOption = False,
    output: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
) -> None:
    """Rank the gallery for every query and print CMC, mAP and mINP with the protocol they were counted under."""
    asked = Asked(**{name: value for name, value in locals().items() if name in Asked.__dataclass_fields__})
    from passerby.figures.save import check_figure
    from passerby.files import check_target

    for target in filter(None, (output, save_features, per_query)):
        check_target(target, overwrite=True)
    if slices_figure:
        check_figure(slices_figure)
    _report(*evaluated(asked), output=output, as_json=as_json)


def _report(result: EvalResult, slices: Sequence[Subgroup] | None, *, output: Path | None, as_json: bool) -> None:
    """As tables or JSON; in any case as JSON into a file that was asked for."""
    from passerby.files import atomic_write

    numbers = result.to_dict() | ({} if slices is None else {"slices": [some.to_dict() for some in slices]})
    text = json.dumps(numbers, indent=2) + "\n"
    if output:
        with atomic_write(output) as unfinished:
            unfinished.write_text(text)
    if as_json:
        typer.echo(text, nl=False)
    else:
        print_result(result)
        print_slices(slices or ())
