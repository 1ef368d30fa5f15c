"""``passerby report``: one page about one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.options import BatchSizeOption, BlurOption, DeviceOption, KeypointsOption
from passerby.cli.progress import progress_bar
from passerby.cli.registry import Panel, command


@command("report", panel=Panel.EVALUATE, order=1)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders; several stand side by side.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page to write.")] = Path(
        "report.html"
    ),
    data: Annotated[
        str | None,
        typer.Option(help="Evaluate on these; default: each run's own test data, where they still open."),
    ] = None,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    batch_size: BatchSizeOption = 64,
) -> None:
    """Write one HTML file with everything about a run: training, numbers, figures, failures, how to repeat it."""
    from passerby.files import check_target
    from passerby.inference.options import InferenceOptions
    from passerby.report import write_report

    check_target(output, overwrite=True)
    found = write_report(
        runs,
        output,
        data=data,
        options=InferenceOptions(device=device, batch_size=batch_size, keypoints=poses, blur=blur),
        progress=progress_bar,
    )
    for run in found:
        for each in run.missing:
            typer.echo(f"{run.label} lacks {each.what}: {each.why}.", err=True)
    size = output.stat().st_size / 2**20
    typer.echo(f"{output}: {size:.1f} MB, opens in any browser, needs no network.")
