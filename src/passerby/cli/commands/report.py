"""``passerby report``: write an HTML report about one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.options import (
    BatchSizeOption,
    BlurOption,
    DataOption,
    DeviceOption,
    FeaturesOptions,
    KeypointsOption,
    OptionalRunsArgument,
    check_unused_with_features,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import progress_bar
from passerby.errors import ConfigError


@command("report", panel=Panel.EVALUATE, order=1)
def report(
    runs: OptionalRunsArgument = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="Report to write.")] = Path(
        "report.html"
    ),
    data: DataOption = None,
    features: FeaturesOptions = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
) -> None:
    """Write one HTML file about a run, or several side by side: metrics, settings, figures, failures, commands.

    Without --data each run is evaluated on its own test data, where that can still be opened. With --features the page
    has the sections that need neither a model nor images.
    """
    from passerby.files import check_target
    from passerby.inference.options import InferenceOptions
    from passerby.report import write_features_report, write_report

    check_target(output, overwrite=True)
    if features:
        others = {"RUN": runs or None, "--data": data, "--keypoints": keypoints, "--blur": blur}
        check_unused_with_features(others)
        found = write_features_report(features, output)
    elif not runs:
        raise ConfigError("nothing to report on. Fix: give RUN, or --features FILE")
    else:
        options = InferenceOptions(device=device, batch_size=batch_size, keypoints=keypoints, blur=blur)
        found = write_report(runs, output, data=data, options=options, progress=progress_bar)
    for run in found:
        for each in run.missing:
            typer.echo(f"not in the report: {each.what} of {run.label}: {each.why}.", err=True)
    size = output.stat().st_size / 2**20
    typer.echo(f"{output}: {size:.1f} MB, opens in any browser, needs no network.")
