"""``passerby figures cameras``: which pairs of cameras are hard, and which camera misleads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.figures.embedding_options import Origin
from passerby.cli.options import DataOption, DeviceOption, FigureOption, FlipTtaOption, KeypointsOption, NormalizeOption
from passerby.cli.registry import command


@command("cameras", group="figures", order=2)
def cameras(
    output: FigureOption,
    run: Annotated[Path | None, typer.Argument(help="A run folder, as train or import-weights makes it.")] = None,
    data: DataOption = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz|.parquet", help="Embeddings of anybody's instead of a run; docs/evaluation.md."),
    ] = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw mAP and rank-1 by pair of cameras, and by which cameras wrong answers are."""
    from passerby.figures.cameras import cameras_figure
    from passerby.figures.save import check_figure, save_figure

    check_figure(output)
    draws = None if features else 0  # every query has one ranking, whatever the data set's own protocol draws
    runs, files = ((path,) if path else () for path in (run, features))
    origin = Origin(runs, data, files, draws, device, poses, flip, normalize)
    [found] = origin.open()
    save_figure(cameras_figure(found, title=origin.place), output)
    typer.echo(f"The matrices are in {output}.")
