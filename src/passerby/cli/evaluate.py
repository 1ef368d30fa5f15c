"""``passerby evaluate``: a trained model and a dataset become numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import Device, Flip, Normalise, Poses
from passerby.cli.progress import progress_bar
from passerby.cli.results import print_result
from passerby.cli.slices import asked_dimensions, draw_slices, print_slices, slicing_of_features, slicing_of_run

if TYPE_CHECKING:
    from passerby.metrics.slices import Slice
    from passerby.types import Embeddings, EvalResult, Protocol, Rerank


def evaluate(  # noqa: PLR0913 - options of a command
    run: Annotated[Path | None, typer.Argument(help="A run folder, as train or import-weights makes it.")] = None,
    data: Annotated[str | None, typer.Option(help="NAME:PATH or a path (folder, zip, tar).")] = None,
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
    open_set: Annotated[
        bool, typer.Option("--open-set", help="Also tell same from different by distance alone: EER, TPR at FMR.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images embedded at once.")] = 64,
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
    slices_figure: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the slices.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
) -> None:
    """Rank the gallery for every query and print CMC, mAP and mINP with the protocol they were counted under."""
    from passerby.data.annotations import read_attributes
    from passerby.data.registry import load as load_dataset
    from passerby.errors import ConfigError
    from passerby.evaluation.attributes import schema_of
    from passerby.evaluation.features import write_features
    from passerby.evaluation.open_set import with_open_set
    from passerby.evaluation.per_query import refuse_draws, write_per_query
    from passerby.files import check_target
    from passerby.training.checkpoint import load
    from passerby.types import Protocol

    for target in filter(None, (output, save_features, per_query, slices_figure)):
        check_target(target, overwrite=True)
    dimensions = asked_dimensions(slices, slices_figure)
    sides: list[Embeddings] = []

    def keep(query: Embeddings, gallery: Embeddings) -> None:
        sides.extend((query, gallery))
        if save_features:
            write_features(save_features, query, gallery)

    counted = Protocol(
        average_precision=ap,
        distance=distance,
        rerank=_rerank(on=rerank, k1=k1, k2=k2, lam=lam, squared_twice=squared_twice),
    )
    if features:
        others = {"RUN": run, "--data": data, "--attributes": attributes, "--poses": poses, "--flip": flip}
        _refuse_beside_features(others | {"--save-features": save_features})
        slicing = slicing_of_features(dimensions)
        result = _of_features(features, counted, normalise=normalise, draws=draws, seed=seed, embedded=keep)
        result = with_open_set(result, *sides) if open_set else result
    else:
        if run is None or data is None:
            raise ConfigError("nothing to evaluate: give RUN and --data, or --features FILE")
        dataset = load_dataset(data)
        predictor = load(run, device=device, poses=poses, flip=flip, normalise=normalise)
        protocol = predictor.protocol_for(dataset, draws=draws, seed=seed)
        if per_query or dimensions:
            refuse_draws(protocol)
        known = None
        if attributes and not ("attributes" in dimensions and predictor.model.schema is None):
            place = dataset.source if attributes == "own" else attributes
            known = read_attributes(place, schema_of(predictor.model))
        slicing = slicing_of_run(dimensions, dataset, attributes)
        with progress_bar("embedding", len(dataset.split("query")) + len(dataset.split("gallery"))) as advance:
            result = predictor.evaluate(
                dataset,
                protocol=replace(protocol, average_precision=ap, distance=distance, rerank=counted.rerank),
                attributes=known,
                batch_size=batch_size,
                embedded=keep,
                open_set=open_set,
                progress=advance,
            )
    if per_query:
        write_per_query(per_query, result)
    found = slicing.slices(sides[0], sides[1], result) if slicing else None
    if slices_figure and found is not None:
        draw_slices(slices_figure, found, result, what=str(features or f"{run} on {data}"))
    _report(result, found, output=output, as_json=as_json)


def _report(result: EvalResult, slices: Sequence[Slice] | None, *, output: Path | None, as_json: bool) -> None:
    """As tables or JSON; in any case as JSON into a file that was asked for."""
    from passerby.files import written_whole

    numbers = result.to_dict() | ({} if slices is None else {"slices": [some.to_dict() for some in slices]})
    text = json.dumps(numbers, indent=2) + "\n"
    if output:
        with written_whole(output) as unfinished:
            unfinished.write_text(text)
    if as_json:
        typer.echo(text, nl=False)
    else:
        print_result(result)
        print_slices(slices or ())


def _refuse_beside_features(others: Mapping[str, object]) -> None:
    """What decides how a model embeds decides nothing here."""
    from passerby.errors import ConfigError

    if given := [name for name, value in others.items() if value is not None]:
        raise ConfigError(f"--features are embeddings already: {', '.join(given)} would decide nothing; leave it out")


def _of_features(
    file: Path,
    counted: Protocol,
    *,
    normalise: bool | None,
    draws: int | None,
    seed: int | None,
    embedded: Callable[[Embeddings, Embeddings], object],
) -> EvalResult:
    from passerby.errors import ProtocolError
    from passerby.evaluation.features import read_features
    from passerby.metrics.protocol import evaluate_embeddings
    from passerby.metrics.single_shot import SINGLE_SHOT

    if seed is not None and not draws:
        raise ProtocolError(f"seed {seed} would decide which galleries are drawn: ask for draws (--draws N)")
    protocol = replace(counted, normalise=normalise is not False)
    if draws:
        protocol = replace(protocol, name=SINGLE_SHOT, draws=draws, seed=seed or 0)
    query, gallery = read_features(file)
    embedded(query, gallery)
    return evaluate_embeddings(query, gallery, protocol)


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
