"""``passerby train``: a recipe and data become a run folder."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.commands.train_pose import is_pose, train_pose
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_result
from passerby.cli.settings import configured
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.training.config import TrainConfig


@command("train", panel=Panel.TRAIN, order=0)
def train(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe: aap_reid, for example; pose: joints.")] = None,
    data: Annotated[str | None, typer.Option(help="Training data: NAME:PATH or a path (folder, zip, tar).")] = None,
    test_data: Annotated[str | None, typer.Option(help="Other data to evaluate on; default: the same.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: optimizer.lr=1e-4. Repeatable."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder to make; default: runs/RECIPE-TIME.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue this run exactly.")] = None,
) -> None:
    """Train a recipe, or continue a run, and evaluate where there are query and gallery images."""
    if resume and (recipe or data or test_data or settings or run):
        raise ConfigError(f"a resumed run keeps its own settings: give --resume {resume} alone")
    if is_pose(recipe, resume):
        folder = resume or run or _default_run("pose")
        train_pose(data, test_data, settings or [], folder, resume=resume is not None)
    else:
        _train_recipe(recipe, data, test_data, settings or [], run, resume)


def _train_recipe(
    recipe: str | None,
    data: str | None,
    test_data: str | None,
    settings: list[str],
    run: Path | None,
    resume: Path | None,
) -> None:
    config = None
    if resume is None:
        config = _config(recipe, data, test_data, settings)
        run = run or _default_run(config.recipe)
    from passerby.figures.training_curves import save_loss_curves
    from passerby.training.loop import train as train_run

    folder = resume or run
    assert folder is not None
    result = train_run(config, folder, resume=resume is not None, on_checkpoint=save_loss_curves)
    if int(os.environ.get("RANK", "0")):
        return
    if result is None:
        typer.echo("Not evaluated: the data has no query and gallery; --test-data names some.")
    else:
        print_result(result)
    typer.echo(f"The run is in {folder}: model.safetensors, metrics.jsonl, losses.png.")


def _config(recipe: str | None, data: str | None, test_data: str | None, settings: list[str]) -> TrainConfig:
    from passerby.recipes.registry import load_recipe

    if recipe is None:
        raise ConfigError("name a recipe to train, or continue a run with --resume RUN")
    return configured(load_recipe(recipe), data, test_data, settings, wanted="NAME:PATH or a path (folder, zip, tar)")


def _default_run(recipe: str) -> Path:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("several processes must agree on the folder: give --run")
    return Path("runs") / f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"
