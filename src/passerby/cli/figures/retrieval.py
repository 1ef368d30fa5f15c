"""``passerby figures retrieval``: the curves of an evaluation."""

from __future__ import annotations

from typing import Annotated

import typer

from passerby.cli.figures.embedding_options import EmbeddingOptions
from passerby.cli.options import (
    DataOption,
    DeviceOption,
    DrawsOption,
    FeaturesOptions,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    OptionalRunsArgument,
)
from passerby.cli.registry import command


@command("retrieval", group="figures", order=1)
def retrieval(
    output: FigureOption,
    runs: OptionalRunsArgument = None,
    data: DataOption = None,
    features: FeaturesOptions = None,
    what: Annotated[
        str,
        typer.Option(
            metavar="CURVES",
            help="Curves: cmc, pr (precision by recall), roc, det, histogram (of distances), calibration; with commas.",
        ),
    ] = "cmc,pr",
    draws: DrawsOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw CMC, precision by recall, ROC, DET, histograms of distances or calibration, of several runs."""
    from passerby.figures.retrieval_curves import parse_curves, retrieval_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.options import InferenceOptions

    check_figure(output)
    curves = parse_curves(what)
    options = EmbeddingOptions(
        runs=tuple(runs or ()),
        data=data,
        features=tuple(features or ()),
        inference=InferenceOptions(device=device, keypoints=keypoints, flip_tta=flip_tta, normalize=normalize),
        draws=draws,
        calibration="calibration" in curves,
    )
    save_figure(retrieval_figure(options.open(), what=curves, title=options.location), output)
    typer.echo(f"The figure is in {output}.")
