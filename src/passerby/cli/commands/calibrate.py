"""``passerby calibrate``: fit P(same person) to a run's distances, or to those of a gallery."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    Distance,
    FlipTtaOption,
    JsonOption,
    KeypointsOption,
    NormalizeOption,
    OverwriteOption,
    RunArgument,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_measured, progress_bar
from passerby.errors import ConfigError, OutputError
from passerby.limits import MAX_SEED

if TYPE_CHECKING:
    from passerby.gallery.verdicts.own import Answer
    from passerby.inference.options import InferenceOptions
    from passerby.metrics.calibration import Calibration
    from passerby.metrics.probability import Method


@command("calibrate", panel=Panel.EVALUATE, order=4)
def calibrate(  # noqa: PLR0913 - options of a command
    run: RunArgument,
    data: DataOption = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            "--gallery", metavar="GALLERY", help="Gallery on disk to calibrate by its confirmed and rejected pairs."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", metavar="FILE.csv", help="Pairs of the gallery: id_a,id_b,same (default those of its feedback)."
        ),
    ] = None,
    method: Annotated[
        Literal["isotonic", "logistic"] | None,
        typer.Option("--method", help="Isotonic or logistic regression (default isotonic; with --gallery logistic)."),
    ] = None,
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
    """Fit P(same person) to distances on validation people, or a gallery's pairs; searches report it from then on."""
    if gallery is not None:
        given = {
            "--data": data is not None, "--distance": distance != "global", "--same-camera": same_camera,
            "--margin": margin > 0, "--flip-tta": flip_tta is not None, "--normalize": normalize is not None,
        }  # fmt: skip
        _check_no_others(given)
        _calibrate_gallery(run, gallery, pairs, method or "logistic", seed, overwrite=overwrite, as_json=as_json)
        return
    if data is None:
        raise ConfigError("no images to calibrate on. Fix: --data DATA, or a gallery's own pairs: --gallery GALLERY")
    if pairs is not None:
        raise ConfigError("--pairs are of rows of a gallery. Fix: add --gallery GALLERY, or leave it out")
    from passerby.inference.options import InferenceOptions

    options = InferenceOptions(
        device=device, batch_size=batch_size, flip_tta=flip_tta, normalize=normalize, keypoints=keypoints
    )
    how = _How(method or "isotonic", distance, same_camera=same_camera, margin=margin, seed=seed)
    _calibrate_run(run, data, options, how, overwrite=overwrite, as_json=as_json)


@dataclass(frozen=True)
class _How:
    """The settings of a fit."""

    method: Method
    distance: Distance
    same_camera: bool
    margin: float
    seed: int


def _calibrate_run(
    run: Path, data: str, options: InferenceOptions, how: _How, *, overwrite: bool, as_json: bool
) -> None:
    from passerby.data.registry import load as load_dataset
    from passerby.evaluation.calibrate import calibrate as fit
    from passerby.files import check_target
    from passerby.inference.load import load
    from passerby.metrics.calibration import CALIBRATION, write_calibration
    from passerby.weights.catalog import shipped

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
            method=how.method,
            distance=how.distance,
            across_cameras=not how.same_camera,
            margin=how.margin,
            seed=how.seed,
            progress=advance,
        )
    write_calibration(run, found)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _print(found, str(run / CALIBRATION), "one half of the people")


def _check_no_others(given: dict[str, bool]) -> None:
    if names := [name for name, is_given in given.items() if is_given]:
        raise ConfigError(
            f"--gallery calibrates by pairs of the gallery, without {', '.join(names)}. Fix: leave it out"
        )


def _calibrate_gallery(
    run: Path, gallery: Path, pairs: Path | None, method: Method, seed: int, *, overwrite: bool, as_json: bool
) -> None:
    from passerby.cli.gallery_options import open_gallery

    opened = open_gallery(run, gallery)
    answers = None if pairs is None else _answers(pairs)
    if opened.store.manifest.notes.get("calibration") and not overwrite:
        raise OutputError(f"'{gallery}' has a calibration. Fix: replace it with --overwrite")
    found = opened.calibrate(answers, method=method, seed=seed)
    if as_json:
        values = {"confirmed": found.confirmed, "rejected": found.rejected, "kind": found.kind}
        typer.echo(json.dumps({**values, **found.calibration.to_dict()}, indent=1))
        return
    _print(found.calibration, f"The calibration of {gallery}", "the pairs among one half of the images")
    check = opened.domain
    typer.echo(
        f"Of these pairs {found.confirmed:,} were confirmed and {found.rejected:,} rejected by people; the others are "
        f"of the kind '{found.kind}'. {'' if check is None else check.reason}"
    )


def _answers(file: Path) -> list[Answer]:
    """Return the pairs of a file.

    Raises:
        ConfigError: if it cannot be read, or is none.
    """
    import csv

    from passerby.gallery.verdicts.own import answers_of

    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"'{file}' cannot be read ({error}). Fix: give a CSV file with id_a,id_b,same") from None
    if not lines or [word.strip() for word in lines[0]] != ["id_a", "id_b", "same"]:
        head = ",".join(lines[0]) if lines else ""
        raise ConfigError(f"'{file}' begins with '{head[:60]}', expected id_a,id_b,same. Fix: name the columns so")
    if wrong := [number for number, line in enumerate(lines[1:], 2) if len(line) != 3]:
        raise ConfigError(f"line {wrong[0]} of '{file}' has not three values. Fix: id_a,id_b,same in each line")
    return answers_of([(a, b, same) for a, b, same in lines[1:]])


def _print(found: Calibration, name: str, half: str) -> None:
    from passerby.metrics.open_set import PAIRS_AT_A_RATE

    pairs = f"{found.same:,} pairs of the same person and {found.different:,} of different people"
    typer.echo(f"{name} is fitted on {pairs} ({found.prior:.2%} the same).")
    typer.echo(f"Held-out errors, fitted on {half} (seed {found.seed}) and measured on the other:")
    print_measured(found.held_out.to_dict())
    typer.echo(f"Thresholds of distance {found.protocol.distance} at false-match rates, fitted on all:")
    for each in found.thresholds:
        few = f"too few pairs, at least {PAIRS_AT_A_RATE / each.rate:,.0f} pairs of different people are needed"
        typer.echo(f"  {each.rate:g}: {few if each.distance is None else f'{each.distance:.4f}'}")
    if found.margin:
        typer.echo(f"Verdicts keep a margin of {found.margin:g} from them.")
