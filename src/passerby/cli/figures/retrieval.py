"""``passerby figures retrieval``: whole evaluations as curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.figures.embedding_options import Origin
from passerby.cli.options import (
    DataOption,
    DeviceOption,
    DrawsOption,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
)
from passerby.cli.registry import command


@command("retrieval", group="figures", order=1)
def retrieval(
    output: FigureOption,
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]…", help="Run folders; several are laid over each other.")
    ] = None,
    data: DataOption = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.npz|.parquet", help="Embeddings of anybody's instead of runs; repeatable; docs/evaluation.md."
        ),
    ] = None,
    what: Annotated[
        str,
        typer.Option(
            metavar="CURVES",
            help="Any of cmc, pr (precision by recall), roc, det, histogram (of distances), calibration, with commas.",
        ),
    ] = "cmc,pr",
    draws: DrawsOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw CMC, precision by recall, ROC with thresholds, histograms of distances, calibration."""
    from passerby.figures.retrieval_curves import parse_curves, retrieval_figure
    from passerby.figures.save import check_figure, save_figure

    check_figure(output)
    curves = parse_curves(what)
    origin = Origin(tuple(runs or ()), data, tuple(features or ()), draws, device, poses, flip, normalize)
    found = origin.open(calibrated="calibration" in curves)
    save_figure(retrieval_figure(found, what=curves, title=origin.place), output)
    typer.echo(f"The curves are in {output}.")
