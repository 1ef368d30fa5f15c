"""How far a row on disk has come, and whether it is the row that is asked for: what decides its numbers is compared.

Settings that decide nothing may differ, and data are told by what they hold: another path to the same is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from passerby.config import read_tree
from passerby.errors import ConfigError
from passerby.recipes.conditions import DECIDES_NOTHING, flat, unequal
from passerby.training.config import TrainConfig, read_config
from passerby.training.inputs import INPUTS
from passerby.training.run import RunFolder

Progress = Literal["absent", "begun", "unfinished", "finished"]
"""Of a row on disk; what has ``begun`` has no checkpoint to go on from."""
Inputs = Mapping[str, str]
"""Digests by setting (:func:`~passerby.training.inputs.digests`)."""


def progress(run: RunFolder, config: TrainConfig, *, inputs: Callable[[TrainConfig], Inputs], queries: int) -> Progress:
    """How far a row has come.

    Args:
        inputs: what a run of these settings would read now; asked only where there is something to compare with.
        queries: of the test data, for runs of earlier versions, which do not say what they read.

    Raises:
        ConfigError: if something else is in its folder, or it was trained with other settings, or on other data.
    """
    try:
        if not run.path.exists():
            return "absent"
        _refuse_other(run, config, inputs)
        if (run.path / "metrics.json").is_file():
            _refuse_other_queries(run, queries)
            return "finished"
        return "unfinished" if any(run.checkpoints.glob("epoch-*")) else "begun"
    except OSError as error:
        raise ConfigError(f"{run.path} cannot be read ({error.strerror or error}); choose another --out") from None


def read_metrics(run: RunFolder) -> dict[str, Any]:
    """What the evaluation of a finished row found.

    Raises:
        ConfigError: if the file is damaged.
    """
    return read_tree(run.path / "metrics.json")


def _refuse_other(run: RunFolder, config: TrainConfig, inputs: Callable[[TrainConfig], Inputs]) -> None:
    had: dict[str, Any] = read_tree(run.path / INPUTS) if (run.path / INPUTS).is_file() else {}
    now = inputs(config) if had else {}
    differ = unequal({**_deciding(read_config(run.config)), **had}, {**_deciding(config), **now})
    if differ:
        content = had.keys() | now.keys()
        shown = [
            f"{key}: other content" if key in content else f"{key}: {was}, wanted {wanted}"
            for key, (was, wanted) in differ.items()
        ]
        raise ConfigError(
            f"{run.path} was trained with other settings or data ({'; '.join(shown[:3])}); choose another --out, or "
            "delete it"
        )


def _deciding(config: TrainConfig) -> dict[str, Any]:
    return {key: value for key, value in flat(config).items() if key not in DECIDES_NOTHING}


def _refuse_other_queries(run: RunFolder, queries: int) -> None:
    metrics = read_metrics(run)
    asked = metrics["queries"] + metrics["queries_dropped"]
    if asked != queries:
        raise ConfigError(
            f"{run.path} was measured with {asked:,} queries, the data has {queries:,}: it is other data now; "
            "choose another --out, or delete it"
        )
