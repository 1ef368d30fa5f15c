"""``passerby train``: train a recipe, or the pose network, and write a run folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from passerby.cli.options import SetOption
from passerby.cli.registry import Panel, command
from passerby.cli.results import print_result
from passerby.cli.runs import ADAPT, default_run, recipe_of, way_on
from passerby.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from passerby.training.config import TrainConfig
    from passerby.training.pose.config import PoseConfig

    Config = TypeVar("Config", TrainConfig, PoseConfig)

POSE = "pose"
"""The recipe that trains the pose network instead of a re-identification model."""
_EXPECTED = "NAME:PATH or a path (folder, zip, tar)"
_EXPECTED_POSE = "synthetic pedestrians, or images with a keypoints.json"
_NOT_EVALUATED = {
    "people": "Not evaluated: the data has no query and gallery images; --test-data names other data.",
    "folders": "Not measured: --test-data names a folder of other images of the same classes.",
}
_HEIGHTS = {"box": "of the image height", "joints": "of the height from the topmost to the lowest keypoint"}
"""The heights that PCK is relative to, by their keys in ``metrics.json``."""


@command("train", panel=Panel.TRAIN, order=0)
def train(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="Recipe, e.g. aap_reid; pose trains the pose network.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Training data: NAME:PATH or a path (folder, zip, tar)."),
    ] = None,
    test_data: Annotated[
        str | None, typer.Option("--test-data", metavar="DATA", help="Data to evaluate on (default as --data).")
    ] = None,
    settings: SetOption = None,
    init: Annotated[
        str | None,
        typer.Option("--init", metavar="RUN|FILE", help="Weights to start from: all but the identity classifiers."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FOLDER", help="Run folder to make (default under runs, with the time in its name)."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue this run exactly as it was started.")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List recipes and their variants (RECIPE@VARIANT), and train nothing.")
    ] = False,
) -> None:
    """Train a recipe, or continue a run, and evaluate it where the data has query and gallery images."""
    if only_list:
        _list_recipes()
        return
    if resume and (recipe or data or test_data or settings or init or run):
        raise ConfigError(f"a resumed run keeps its own settings. Fix: give --resume {resume} alone")
    if resume is None:
        _check_early(recipe, data, settings or ())
    is_pose = _is_pose(recipe, resume)
    if is_pose and init:
        raise ConfigError("the pose network starts from random weights. Fix: leave --init out")
    start = [f"model.weights={json.dumps(init)}"] if init else []
    task = _train_pose if is_pose else _train_recipe
    task(recipe, data, test_data, [*(settings or ()), *start], run, resume)


def _list_recipes() -> None:
    """Print the name of each recipe and the first line of its description."""
    import inspect

    from passerby.recipes.pose import pose
    from passerby.recipes.registry import RECIPES

    for name, described in {**{name: RECIPES[name] for name in RECIPES}, POSE: pose}.items():
        first = (inspect.getdoc(described) or "").partition("\n")[0].removeprefix("Return ").removesuffix(".")
        typer.echo(f"{name}: {first}")


def _is_pose(recipe: str | None, resume: Path | None) -> bool:
    """Return whether the recipe, or the run to continue, is that of the pose network."""
    if resume is None:
        return recipe == POSE
    if (recipe := recipe_of(resume)) == ADAPT:
        raise ConfigError(f"'{resume}' is an adaptation. Fix: passerby adapt --resume {resume}")
    return recipe == POSE


def _learned(run: Path) -> str:
    """Return what a run that goes on learns; whether its config is valid is seen where it is read."""
    from passerby.config import read_tree

    data = read_tree(run / "config.json").get("data")
    return "folders" if isinstance(data, dict) and data.get("labels") == "folders" else "people"


def _check_early(recipe: str | None, data: str | None, settings: Sequence[str]) -> None:
    """Check what can be checked without the imports of a training, which take seconds.

    Raises:
        ConfigError: if there is no recipe or nothing to train on, or a setting is not written as one.
        UnknownNameError: for a recipe that does not exist.
    """
    from passerby.cli.recipe_names import declared_recipes
    from passerby.config import parse_overrides
    from passerby.plugins import has_plugins

    changes = parse_overrides(settings)
    if recipe is None:
        raise ConfigError(
            "no recipe to train. Fix: name one (`passerby train --list` lists them), or continue a run with "
            "--resume RUN"
        )
    if has_plugins():
        return
    if recipe not in (known := (*declared_recipes(), POSE)):
        raise UnknownNameError("recipe", recipe, known)
    if not data and not changes.get("data.train"):
        raise _no_data(_EXPECTED_POSE if recipe == POSE else _EXPECTED)


def _no_data(expected: str) -> ConfigError:
    return ConfigError(f"no training data. Fix: add --data DATA ({expected})")


def _train_recipe(
    recipe: str | None,
    data: str | None,
    test_data: str | None,
    settings: Sequence[str],
    run: Path | None,
    resume: Path | None,
) -> None:
    from passerby.config import parse_overrides
    from passerby.figures.training_curves import save_loss_curves
    from passerby.recipes.registry import load_recipe
    from passerby.training.classes import ClassResult, train_classes
    from passerby.training.initial import with_told_options
    from passerby.training.loop import train as train_people

    config = None
    if resume is None:
        assert recipe is not None
        config = _configured(load_recipe(recipe), data, test_data, settings, expected=_EXPECTED)
        chosen = "data.normalization" in parse_overrides(settings)
        config, told = with_told_options(config, normalization_is_chosen=chosen)
        if told and _is_first_process():
            typer.echo(told)
        run = run or default_run(config.recipe)
    folder = resume or run
    assert folder is not None
    learned = config.data.labels if config else _learned(folder)
    train_run = train_people if learned == "people" else train_classes
    with way_on(folder, "train"):
        result = train_run(config, folder, resume=resume is not None, on_checkpoint=save_loss_curves)
    if not _is_first_process():
        return
    if result is None:
        typer.echo(_NOT_EVALUATED[learned])
    elif isinstance(result, ClassResult):
        typer.echo(f"Top-1 {result.top1:.1%} of {result.images:,} images of {result.classes:,} classes.")
    else:
        print_result(result)
    typer.echo(f"The run is in {folder}: model.safetensors, metrics.jsonl, losses.png.")


def _train_pose(
    recipe: str | None,  # noqa: ARG001 - the signature of _train_recipe
    data: str | None,
    test_data: str | None,
    settings: Sequence[str],
    run: Path | None,
    resume: Path | None,
) -> None:
    from passerby.figures.training_curves import save_loss_curves
    from passerby.recipes.pose import pose
    from passerby.training.pose.training import train_pose as train_run

    config = None
    folder = resume or run or default_run(POSE)
    if resume is None:
        config = _configured(pose(), data, test_data, settings, expected=_EXPECTED_POSE)
    with way_on(folder, "train"):
        result = train_run(config, folder, resume=resume is not None, on_checkpoint=save_loss_curves)
    if result is None:
        typer.echo(
            "Not measured: the data has no query and gallery images with keypoints; --test-data names other data."
        )
    else:
        for key, height in _HEIGHTS.items():
            shares = result[key]
            if shares["joints"]:  # a single keypoint per person has no height
                typer.echo(f"PCK at 5 % {shares['pck_5']:.1%}, at 10 % {shares['pck_10']:.1%} {height}")
    typer.echo(f"The run is in {folder}: model.safetensors, model.json, metrics.jsonl, losses.png.")


def _configured(
    config: Config, data: str | None, test_data: str | None, settings: Sequence[str], *, expected: str
) -> Config:
    """Return ``config`` with the settings and data of the command line.

    Raises:
        ConfigError: if there is nothing to train on (the message asks for ``expected``), or data is given twice.
    """
    from passerby.config import given_once, parse_overrides, with_overrides

    given: list[tuple[str, Any]] = [*parse_overrides(settings).items()]
    given += [(key, place) for key, place in (("data.train", data), ("data.test", test_data)) if place]
    changes = given_once(given)
    config = _rescheduled(with_overrides(config, changes), config, changes)
    places = {"data.train": config.data.train, "data.test": config.data.test}
    if not places["data.train"]:
        raise _no_data(expected)
    return with_overrides(config, places)


def _rescheduled(config: Config, recipe: Config, changes: Mapping[str, Any]) -> Config:
    """Return the config with its schedule scaled to the number of epochs, where that number alone was changed."""
    from passerby.config import with_overrides
    from passerby.recipes.conditions import shorten
    from passerby.training.config import TrainConfig

    asked = any(key.partition(".")[0] == "schedule" for key in changes)
    if asked or not isinstance(config, TrainConfig):
        return config
    scaled = shorten(with_overrides(config, {"epochs": recipe.epochs}), config.epochs)
    if scaled.schedule != config.schedule and _is_first_process():
        schedule = scaled.schedule
        places = ", ".join(f"{m:g}" for m in schedule.milestones) or "none"
        typer.echo(
            f"The recipe's schedule of {recipe.epochs} epochs is scaled to {config.epochs}: milestones {places}, "
            f"warm-up {schedule.warmup_epochs:g}. To set it yourself: --set schedule.milestones=[…]"
        )
    return scaled


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
