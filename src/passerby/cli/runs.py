"""The run folders of commands that train: their default names, what they hold, and how an interrupted one goes on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import typer

from passerby.errors import ConfigError

ADAPT = "adapt"
"""The recipe that the config of an adaptation names."""


def default_run(recipe: str) -> Path:
    """Return the folder of a run that was given none.

    Raises:
        ConfigError: if several processes would each name another one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("several processes need the same run folder. Fix: add --run FOLDER")
    return Path("runs") / f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"


def recipe_of(run: Path) -> str | None:
    """Return the recipe that a run's config names; whether the config is valid is seen where it is read."""
    from passerby.config import read_tree

    recipe: str | None = read_tree(run / "config.json").get("recipe")
    return recipe


@contextmanager
def way_on(folder: Path, command: str) -> Iterator[None]:
    """Print how an interrupted run is continued by a command, if it left something to continue from."""
    from passerby.training.run import RunFolder

    try:
        yield
    except KeyboardInterrupt:
        if RunFolder(folder).checkpoint_epoch() is not None:
            resume = f"passerby {command} --resume {shlex.quote(str(folder))}"
            typer.echo(f"The run is kept. To continue it: {resume}", err=True)
        raise
