"""``passerby calibrate``: fit P(same person) to a run's distances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import (
    BatchSizeOption,
    DeviceOption,
    Distance,
    FlipTtaOption,
    JsonOption,
    KeypointsOption,
    NormalizeOption,
    OverwriteOption,
    RequiredDataOption,
    RunArgument,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_measured, progress_bar
from passerby.errors import ConfigError, OutputError
from passerby.limits import MAX_SEED

if TYPE_CHECKING:
    from passerby.metrics.calibration import Calibration


@command("calibrate", panel=Panel.EVALUATE, order=4)
def calibrate(  # noqa: PLR0913 - options of a command
    run: RunArgument,
    data: RequiredDataOption,
    method: Annotated[
        Literal["isotonic", "logistic"], typer.Option("--method", help="Isotonic or logistic regression.")
    ] = "isotonic",
    distance: Annotated[
        Distance,
        typer.Option(
            "--distance", help="Distance of embeddings, which searches compare, of local features, or of both."
        ),
    ] = "global",
    same_camera: Annotated[
        bool, typer.Option("--same-camera", help="Include true pairs of images of the same camera.")
    ] = False,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", min=0.0, help="Distance by which verdicts are stricter, for images unlike these (default 0)."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Random seed of the held-out people.")] = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    keypoints: KeypointsOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit P(same person) to distances on validation people; evaluate and search report it from then on."""
    from passerby.data.registry import load as load_dataset
    from passerby.evaluation.calibrate import calibrate as fit
    from passerby.files import check_target
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions
    from passerby.metrics.calibration import CALIBRATION, write_calibration
    from passerby.weights.catalog import shipped

    options = InferenceOptions(
        device=device, batch_size=batch_size, flip_tta=flip_tta, normalize=normalize, keypoints=keypoints
    )
    if shipped(run):
        raise ConfigError(
            f"'{run}' is in the package, which is not changed. Fix: `passerby import-weights {run} -o runs/{run}`, and "
            "calibrate that"
        )
    if run.is_file():
        raise ConfigError(
            f"'{run}' is a file, which holds no {CALIBRATION}. Fix: calibrate the run, and export it again"
        )
    model = load(run, options)
    if (run / CALIBRATION).exists() and not overwrite:
        raise OutputError(f"'{run / CALIBRATION}' exists. Fix: replace it with --overwrite")
    check_target(run / CALIBRATION, overwrite=True)
    dataset = load_dataset(data)
    with progress_bar("embedding", len(dataset.counted("query")) + len(dataset.counted("gallery"))) as advance:
        found = fit(
            model,
            dataset,
            method=method,
            distance=distance,
            across_cameras=not same_camera,
            margin=margin,
            seed=seed,
            progress=advance,
        )
    write_calibration(run, found)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _print(found, run / CALIBRATION)


def _print(found: Calibration, file: Path) -> None:
    from passerby.metrics.open_set import PAIRS_AT_A_RATE

    pairs = f"{found.same:,} pairs of the same person and {found.different:,} of different people"
    typer.echo(f"{file} is fitted on {pairs} ({found.prior:.2%} the same).")
    typer.echo(f"Held-out errors, fitted on one half of the people (seed {found.seed}) and measured on the other:")
    print_measured(found.held_out.to_dict())
    typer.echo(f"Thresholds of distance {found.protocol.distance} at false-match rates, fitted on all people:")
    for each in found.thresholds:
        few = f"too few pairs, at least {PAIRS_AT_A_RATE / each.rate:,.0f} pairs of different people are needed"
        typer.echo(f"  {each.rate:g}: {few if each.distance is None else f'{each.distance:.4f}'}")
    if found.margin:
        typer.echo(f"Verdicts keep a margin of {found.margin:g} from them.")
