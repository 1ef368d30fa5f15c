"""``passerby calibrate``: what a run's distances mean, kept beside its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import (
    BatchSizeOption,
    DeviceOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    RunArgument,
)
from passerby.cli.progress import progress_bar
from passerby.cli.registry import Panel, command

if TYPE_CHECKING:
    from passerby.metrics.calibration import Calibration


@command("calibrate", panel=Panel.EVALUATE, order=4)
def calibrate(  # noqa: PLR0913 - options of a command
    run: RunArgument,
    data: Annotated[str, typer.Option(help="NAME:PATH or a path: validation people, neither for training nor tests.")],
    method: Annotated[
        Literal["isotonic", "logistic"], typer.Option(help="Steps that fit the pairs best, or a smooth curve.")
    ] = "isotonic",
    distance: Annotated[
        Literal["global", "local", "global_local"], typer.Option(help="What is compared; searches compare global.")
    ] = "global",
    same_camera: Annotated[
        bool, typer.Option("--same-camera", help="A person seen twice by one camera is a pair too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Which people are held out.")] = 0,
    batch_size: BatchSizeOption = 64,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run's calibration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
) -> None:
    """Fit distance → P(same person); evaluate and search say it from then on."""
    from passerby.data.registry import load as load_dataset
    from passerby.evaluation.calibrate import calibrate as fit
    from passerby.files import check_target
    from passerby.inference.load import load
    from passerby.metrics.calibration import CALIBRATION, write_calibration

    model = load(run, device=device, keypoints=poses, flip_tta=flip, normalize=normalize, batch_size=batch_size)
    check_target(run / CALIBRATION, overwrite=overwrite)
    dataset = load_dataset(data)
    with progress_bar("embedding", len(dataset.split("query")) + len(dataset.split("gallery"))) as advance:
        found = fit(
            model,
            dataset,
            method=method,
            distance=distance,
            across_cameras=not same_camera,
            seed=seed,
            progress=advance,
        )
    write_calibration(run, found)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _print(found, run / CALIBRATION)


def _print(found: Calibration, file: Path) -> None:
    from passerby.cli.results import print_measured
    from passerby.metrics.open_set import PAIRS_AT_A_RATE

    pairs = f"{found.same:,} pairs of the same person and {found.different:,} of different people"
    typer.echo(f"{pairs} ({found.prior:.2%} the same) make {file}.")
    typer.echo(f"How such a fit holds, made from one half of the people (seed {found.seed}) and measured on the other:")
    print_measured(found.held_out.to_dict())
    typer.echo(f"Thresholds of distance {found.protocol.distance} at false-match rates, made from all people:")
    for each in found.thresholds:
        many = f"at least {PAIRS_AT_A_RATE / each.rate:,.0f} pairs of different people are needed"
        typer.echo(f"  {each.rate:g}: {f'too few pairs, {many}' if each.distance is None else f'{each.distance:.4f}'}")
