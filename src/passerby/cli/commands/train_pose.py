"""``passerby train pose``: people whose joints are known become a pose network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from passerby.cli.settings import configured

if TYPE_CHECKING:
    from passerby.training.pose_config import PoseConfig


def is_pose(recipe: str | None, resume: Path | None) -> bool:
    """Whether a pose network is meant: by the recipe's name, or by that of the run to continue."""
    if resume is None:
        return recipe == "pose"
    from passerby.config import read_tree
    from passerby.recipes.pose import NAME
    from passerby.training.run import RunFolder

    config = RunFolder(resume).config
    return config.is_file() and read_tree(config).get("recipe") == NAME


def train_pose(data: str | None, test_data: str | None, settings: list[str], folder: Path, *, resume: bool) -> None:
    """Train the pose network, or continue a run of it, and print its PCK where there are test people."""
    from passerby.figures.training_curves import save_loss_curves
    from passerby.training.pose import train_pose as train_run

    config = None if resume else _config(data, test_data, settings)
    result = train_run(config, folder, resume=resume, on_checkpoint=save_loss_curves)
    if result is None:
        typer.echo("Not measured: the data has no query and gallery with joints; --test-data names some.")
    else:
        for what, name in (("box", "of the picture's height"), ("joints", "from the highest joint to the lowest")):
            shares = result[what]
            if shares["joints"]:  # nobody has a height from joint to joint where everybody has one joint
                typer.echo(f"PCK at 5 % {shares['pck_5']:.1%}, at 10 % {shares['pck_10']:.1%} {name}")
    typer.echo(f"The run is in {folder}: model.safetensors, model.json, metrics.jsonl, losses.png.")


def _config(data: str | None, test_data: str | None, settings: list[str]) -> PoseConfig:
    from passerby.recipes.pose import pose

    wanted = "pedestrians, drawn or written, or pictures with a keypoints.json"
    return configured(pose(), data, test_data, settings, wanted=wanted)
