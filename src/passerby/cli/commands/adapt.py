"""``passerby adapt``: adapt a model to unlabeled crops of your own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.options import BlurOption, SetOption
from passerby.cli.registry import Panel, command
from passerby.cli.runs import ADAPT, default_run, recipe_of, way_on
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.training.adapt.config import AdaptConfig
    from passerby.training.adapt.rounds import AdaptResult


@command("adapt", panel=Panel.TRAIN, order=2)
def adapt(
    model: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run folder of the model to start with; it stays as it is.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Unlabeled crops: a folder, zip, tar or NAME:PATH."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FOLDER", help="Run folder to make (default under runs, with the time in its name)."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only re-estimate batch-norm statistics, which takes seconds.")
    ] = False,
    settings: SetOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue this run exactly as it was started.")
    ] = None,
    blur: BlurOption = None,
) -> None:
    """Adapt a model to unlabeled crops of your cameras, and keep the better one; no identity is read."""
    config = None
    if resume is None:
        config = _configured(model, data, quick, settings or ())
    elif model or data or run or quick or settings:
        raise ConfigError(f"a resumed run keeps its own settings. Fix: give --resume {resume} alone")
    else:
        _check_adaptation(resume)
    folder = resume or run or default_run(ADAPT)
    from passerby.training.adapt.training import adapt as adapt_run

    with way_on(folder, ADAPT):
        result = adapt_run(config, folder, resume=resume is not None)
    drawn = _draw_clusters(folder, blur=blur)
    _print(result, folder, drawn=drawn)


def _check_adaptation(run: Path) -> None:
    """Check that a run to continue is an adaptation.

    Raises:
        ConfigError: if it is another run.
    """
    if recipe_of(run) != ADAPT:
        raise ConfigError(f"'{run}' is no adaptation. Fix: passerby train --resume {run}")


def _configured(model: str | None, data: str | None, quick: bool, settings: Sequence[str]) -> AdaptConfig:
    """Return the settings of the command line.

    Raises:
        ConfigError: if there is no model or no data, or a setting is given twice.
    """
    from passerby.config import given_once, parse_overrides, with_overrides

    given: list[tuple[str, Any]] = [*parse_overrides(settings).items()]
    given += [(key, value) for key, value in (("start", model), ("data.place", data)) if value]
    given += [("quick", True)] if quick else []
    changes = given_once(given)
    for key, what in (("start", "no model to adapt. Fix: name a run folder, RUN"), ("data.place", _NO_DATA)):
        if not changes.get(key):
            raise ConfigError(what)
    from passerby.training.adapt.config import AdaptConfig

    return with_overrides(AdaptConfig(), changes)


_NO_DATA = "no crops to adapt to. Fix: add --data DATA (a folder, zip, tar or NAME:PATH of person crops)"


def _draw_clusters(folder: Path, *, blur: bool | None) -> bool:
    """Draw a contact sheet of the clusters, heads blurred as in other figures; return whether there are any."""
    from passerby.config import read_as
    from passerby.explain.images import ImageSet
    from passerby.figures.contact_sheet import contact_sheet, save_sheet
    from passerby.training.adapt.config import AdaptConfig
    from passerby.training.adapt.rounds import SHEET, SHOWN, clustered

    dataset = clustered(folder, read_as(AdaptConfig, folder / "config.json").data.place)
    if not dataset.gallery:
        return False
    sheet = contact_sheet(dataset, count=SHOWN, image=ImageSet(dataset.source, blur=blur).image)
    save_sheet(sheet, folder / SHEET)
    return True


def _print(result: AdaptResult, folder: Path, *, drawn: bool) -> None:
    start, kept = result.quality["start"], result.quality["kept"]
    typer.echo(result.reason)
    if result.adapted:
        typer.echo(
            f"Adapted: the weights of '{result.kept}' are kept, label-free quality {start:.3f} before, "
            f"{kept:.3f} after. A calibration of the start does not hold for them (passerby calibrate)."
        )
    else:
        typer.echo(f"Not adapted: the weights of the start are kept unchanged, label-free quality {start:.3f}.")
    sheet = ", clusters.csv, clusters.jpg" if drawn else ""
    typer.echo(f"The run is in {folder}: model.safetensors, adapt.json, rounds.jsonl{sheet}.")
