"""``passerby evaluate``: a trained model and a dataset become numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import Device, Flip, Normalise, Poses
from passerby.cli.progress import progress_bar

if TYPE_CHECKING:
    from passerby.types import AttributeResult, EvalResult, Rerank


def evaluate(  # noqa: PLR0913 - options of a command
    run: Annotated[Path, typer.Argument(help="A run folder, as train or import-weights makes it.")],
    data: Annotated[str, typer.Option(help="NAME:PATH or a path (folder, zip, tar).")],
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
            help="Also compare predicted attributes with those of the gallery's people: own of the data, .mat, .csv.",
        ),
    ] = None,
    device: Device = "cpu",
    poses: Poses = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of galleries with one picture a person; 0: the whole gallery; default: as the run or data has it.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draws; default: as the run says (0).")] = None,
    flip: Flip = None,
    normalise: Normalise = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbours.")] = False,
    k1: Annotated[int | None, typer.Option(min=1, help="Of --rerank: neighbours an encoding rests on (20).")] = None,
    k2: Annotated[int | None, typer.Option(min=1, help="Of --rerank: neighbours it is averaged over (6).")] = None,
    lam: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of --rerank: share of the distance itself (0.3).")
    ] = None,
    squared_twice: Annotated[
        bool,
        typer.Option("--squared-twice", help="Of --rerank: square distances once more, as torchreid and fast-reid."),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images embedded at once.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
) -> None:
    """Rank the gallery for every query and print CMC, mAP and mINP with the protocol they were counted under."""
    from passerby.data.annotations import read_attributes
    from passerby.data.registry import load as load_dataset
    from passerby.evaluation.attributes import schema_of
    from passerby.files import check_target, written_whole
    from passerby.training.checkpoint import load

    if output:
        check_target(output, overwrite=True)
    again = _rerank(on=rerank, k1=k1, k2=k2, lam=lam, squared_twice=squared_twice)
    dataset = load_dataset(data)
    images = len(dataset.split("query")) + len(dataset.split("gallery"))
    predictor = load(run, device=device, poses=poses, flip=flip, normalise=normalise)
    protocol = replace(
        predictor.protocol_for(dataset, draws=draws, seed=seed), average_precision=ap, distance=distance, rerank=again
    )
    known = None
    if attributes:
        place = dataset.source if attributes == "own" else attributes
        known = read_attributes(place, schema_of(predictor.model))
    with progress_bar("embedding", images) as advance:
        result = predictor.evaluate(
            dataset, protocol=protocol, attributes=known, batch_size=batch_size, progress=advance
        )
    text = json.dumps(result.to_dict(), indent=2) + "\n"
    if output:
        with written_whole(output) as partial:
            partial.write_text(text)
    if as_json:
        typer.echo(text, nl=False)
    else:
        print_result(result)


def _rerank(*, on: bool, **settings: float | bool | None) -> Rerank | None:
    """What the options ask for.

    Raises:
        ProtocolError: if there are settings but nothing is re-ranked.
    """
    from passerby.errors import ProtocolError
    from passerby.types import Rerank

    given = {name: value for name, value in settings.items() if value is not None and value is not False}
    if given and not on:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ProtocolError(f"{named} would decide how to re-rank, but nothing is re-ranked: add --rerank")
    return Rerank(**given) if on else None  # type: ignore[arg-type]  # each as its option has it


def print_result(result: EvalResult) -> None:
    """The protocol, the numbers and what they were counted on."""
    from rich.console import Console
    from rich.table import Table

    typer.echo(f"Protocol: {result.protocol}.")
    table = Table(box=None, pad_edge=False)
    values = {f"rank-{k}": result.rank(k) for k in (1, 5, 10, 20)} | {"mAP": result.mean_ap, "mINP": result.minp}
    for name in values:
        table.add_column(name, justify="right")
    table.add_row(*map(_percent, values.values()))
    Console().print(table)
    dropped = f" ({result.queries_dropped:,} more without a valid match)" if result.queries_dropped else ""
    typer.echo(f"{result.queries:,} queries{dropped}, {result.gallery:,} gallery images.")
    if result.attributes:
        _print_attributes(result.attributes)


def _print_attributes(result: AttributeResult) -> None:
    """Accuracy by group, with what it is to be measured against."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("attribute")
    for name in ("accuracy", "balanced", "majority", "which is", "pictures"):
        table.add_column(name, justify="right")
    for group in result.groups:
        shares = (group.accuracy, group.balanced, group.majority_accuracy)
        table.add_row(group.name, *map(_percent, shares), group.majority or "–", f"{group.pictures:,}")
    table.add_row("mean", *map(_percent, result.mean.values()))
    typer.echo("Attributes of the gallery's people; majority: always saying what is commonest in training.")
    Console().print(table)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
