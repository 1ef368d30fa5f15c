"""``passerby report``: write an HTML report about one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.options import BatchSizeOption, BlurOption, DataOption, DeviceOption, KeypointsOption, RunsArgument
from passerby.cli.registry import Panel, command
from passerby.cli.results import progress_bar


@command("report", panel=Panel.EVALUATE, order=1)
def report(
    runs: RunsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="Report to write.")] = Path(
        "report.html"
    ),
    data: DataOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
) -> None:
    """Write one HTML file about a run, or several side by side: metrics, settings, figures, failures, commands.

    Without --data each run is evaluated on its own test data, where that can still be opened.
    """
    from passerby.files import check_target
    from passerby.inference.options import InferenceOptions
    from passerby.report import write_report

    check_target(output, overwrite=True)
    options = InferenceOptions(device=device, batch_size=batch_size, keypoints=keypoints, blur=blur)
    found = write_report(runs, output, data=data, options=options, progress=progress_bar)
    for run in found:
        for each in run.missing:
            typer.echo(f"{run.label} lacks {each.what}: {each.why}.", err=True)
    size = output.stat().st_size / 2**20
    typer.echo(f"{output}: {size:.1f} MB, opens in any browser, needs no network.")
