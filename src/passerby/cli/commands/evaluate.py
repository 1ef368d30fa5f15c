"""``passerby evaluate``: compute the metrics of a run on a dataset, or of precomputed embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.evaluation import (
    ProtocolOptions,
    evaluate_features,
    evaluate_run,
    print_subgroups,
    rerank_options,
    save_subgroup_figure,
    subgroup_dimensions,
)
from passerby.cli.options import (
    AttributeLabelsOption,
    BatchSizeOption,
    DataOption,
    DeviceOption,
    DistanceOption,
    DrawsOption,
    FeaturesOption,
    FlipTtaOption,
    JsonOption,
    KeypointsOption,
    NormalizeOption,
    OptionalModelArgument,
    RerankOption,
    check_unused_with_features,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_result
from passerby.errors import ConfigError
from passerby.limits import MAX_SEED

if TYPE_CHECKING:
    from passerby.metrics.subgroups import Subgroup
    from passerby.types import EvalResult


@command("evaluate", panel=Panel.EVALUATE, order=0)
def evaluate(  # noqa: PLR0913 - options of a command
    run: OptionalModelArgument = None,
    data: DataOption = None,
    features: FeaturesOption = None,
    distance: DistanceOption = None,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch",
            metavar="NAME",
            help="Branch of the embedding to compare alone: global, head, upper_body, upper_leg, lower_leg, parts or "
            "all of attention_driven; global, parts, attributes, attention or all of aanet (default all).",
        ),
    ] = None,
    ap: Annotated[
        Literal["step", "trapezoid"],
        typer.Option("--ap", help="Average precision: step, or trapezoid as in Market-1501's original code."),
    ] = "step",
    draws: DrawsOption = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=MAX_SEED, help="Random seed of --draws (default as in the run, else 0)."),
    ] = None,
    all_cameras: Annotated[
        bool,
        typer.Option(
            "--all-cameras", help="Count matches from the query's own camera too, for data whose cameras are unknown."
        ),
    ] = False,
    multi_query: Annotated[
        Literal["mean", "max"] | None,
        typer.Option(
            "--multi-query",
            help="Pool all images of the query's person by its camera (Market-1501's gt_bbox) into one query.",
        ),
    ] = None,
    rerank: RerankOption = False,
    k1: Annotated[
        int | None, typer.Option("--k1", min=1, help="Neighbors of an encoding of --rerank (default 20).")
    ] = None,
    k2: Annotated[
        int | None, typer.Option("--k2", min=1, help="Neighbors for the query expansion of --rerank (default 6).")
    ] = None,
    lam: Annotated[
        float | None,
        typer.Option("--lam", min=0, max=1, help="Weight λ of the original distance in --rerank (default 0.3)."),
    ] = None,
    torchreid_compat: Annotated[
        bool,
        typer.Option(
            "--torchreid-compat", help="Square distances once more in --rerank, as torchreid and fast-reid do."
        ),
    ] = False,
    open_set: Annotated[
        bool, typer.Option("--open-set", help="Also report verification metrics: EER, and TPR at fixed FMR.")
    ] = False,
    attribute_labels: AttributeLabelsOption = None,
    slices: Annotated[
        str | None,
        typer.Option(
            "--slices",
            metavar="DIMENSIONS",
            help="Also report metrics by subgroup: cameras, attributes, visibility (separated by commas).",
        ),
    ] = None,
    slices_figure: Annotated[
        Path | None,
        typer.Option("--slices-figure", metavar="FILE.png|.pdf|.svg", help="Figure of the subgroups to write."),
    ] = None,
    per_query: Annotated[
        Path | None, typer.Option("--per-query", metavar="FILE.csv", help="Table of results per query to write.")
    ] = None,
    save_features: Annotated[
        Path | None,
        typer.Option("--save-features", metavar="FILE.parquet", help="Embeddings to write, for --features."),
    ] = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    keypoints: KeypointsOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="JSON file to write (default none).")
    ] = None,
) -> None:
    """Rank the gallery for every query and print rank-k, mAP and mINP with their protocol."""
    from passerby.figures.save import check_figure
    from passerby.files import check_target
    from passerby.inference.options import InferenceOptions

    for target in filter(None, (output, save_features, per_query)):
        check_target(target, overwrite=True)
    if slices_figure:
        check_figure(slices_figure)
    settings = {"k1": k1, "k2": k2, "lam": lam, "torchreid_compat": torchreid_compat}
    protocol = ProtocolOptions(
        distance=distance,
        average_precision=ap,
        multi_query=multi_query,
        rerank=rerank_options(rerank, settings),
        draws=draws,
        seed=seed,
        all_cameras=all_cameras,
        branch=branch,
    )
    if features:
        check_unused_with_features(
            {
                "RUN": run,
                "--data": data,
                "--branch": branch,
                "--attribute-labels": attribute_labels,
                "--keypoints": keypoints,
                "--flip-tta": flip_tta,
                "--save-features": save_features,
                "--multi-query": multi_query,
            }
        )
        dimensions = subgroup_dimensions(slices, slices_figure)
        result, grouping = evaluate_features(features, protocol, dimensions, normalize=normalize, open_set=open_set)
    elif run is not None and data is None:
        raise ConfigError(f"--data is missing: '{run}' needs images to be evaluated on. Fix: add --data DATA")
    elif run is None or data is None:
        raise ConfigError("nothing to evaluate. Fix: give RUN and --data DATA, or --features FILE")
    else:
        dimensions = subgroup_dimensions(slices, slices_figure)
        options = InferenceOptions(
            device=device, batch_size=batch_size, flip_tta=flip_tta, normalize=normalize, keypoints=keypoints
        )
        result, grouping = evaluate_run(
            run,
            data,
            options,
            protocol,
            dimensions,
            labels=attribute_labels,
            open_set=open_set,
            per_query=per_query is not None,
            save_features=save_features,
        )
    assert result.embeddings is not None
    subgroups = None if grouping is None else grouping.subgroups(*result.embeddings, result)
    title = str(features or f"{run} on {data}")
    _write_files(result, subgroups, title, per_query, slices_figure)
    _report(result, subgroups, output=output, as_json=as_json)


def _write_files(
    result: EvalResult,
    subgroups: Sequence[Subgroup] | None,
    title: str,
    per_query: Path | None,
    slices_figure: Path | None,
) -> None:
    from passerby.evaluation.per_query import write_per_query

    if per_query:
        write_per_query(per_query, result)
    if slices_figure and subgroups is not None:
        save_subgroup_figure(slices_figure, subgroups, result, title=title)


def _report(result: EvalResult, subgroups: Sequence[Subgroup] | None, *, output: Path | None, as_json: bool) -> None:
    """Print tables or JSON, and write JSON to ``output``."""
    from passerby.files import atomic_write

    numbers = result.to_dict() | ({} if subgroups is None else {"slices": [each.to_dict() for each in subgroups]})
    text = json.dumps(numbers, indent=2) + "\n"
    if output:
        with atomic_write(output) as partial:
            partial.write_text(text)
    if as_json:
        typer.echo(text, nl=False)
    else:
        print_result(result)
        print_subgroups(subgroups or ())
