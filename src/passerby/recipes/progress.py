"""The progress of a row on disk, and a check that it was trained with the settings and data that are asked for.

Settings that change no number may differ, and data are identified by content: the same data under another path match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from passerby.config import read_tree
from passerby.errors import ConfigError
from passerby.models.registry import model_card
from passerby.recipes.conditions import NEUTRAL_SETTINGS, flatten, unequal
from passerby.training.config import TrainConfig, read_config
from passerby.training.inputs import INPUTS, comparable
from passerby.training.run import RunFolder

Progress = Literal["absent", "begun", "unfinished", "finished"]
"""The progress of a row on disk; one that is ``begun`` has no checkpoint to resume from."""
Inputs = Mapping[str, str]
"""The digests by setting (:func:`~passerby.training.inputs.digests`)."""


WEIGHTS = "model.backbone_weights"


def progress(
    run: RunFolder,
    config: TrainConfig,
    *,
    inputs: Callable[[TrainConfig], Inputs],
    queries: int,
    any_weights: bool = False,
) -> Progress:
    """Return the progress of a row.

    Args:
        any_weights: accept whatever initial weights the run started from.
        inputs: returns the digests of what a run of these settings would read now; called only to compare.
        queries: the number of test queries, to check runs of earlier versions, which have no digests.

    Raises:
        ConfigError: if something else is in its folder, or it was trained with other settings, or on other data.
    """
    try:
        if not run.path.exists():
            return "absent"
        _check_same_run(run, config, inputs, any_weights=any_weights)
        if (run.path / "metrics.json").is_file():
            _check_same_queries(run, queries)
            return "finished"
        return "unfinished" if any(run.checkpoints.glob("epoch-*")) else "begun"
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"'{run.path}' cannot be read: {why}. Fix: choose another --output") from None


def read_metrics(run: RunFolder) -> dict[str, Any]:
    """Read the evaluation of a finished row.

    Raises:
        ConfigError: if the file is damaged.
    """
    return read_tree(run.path / "metrics.json")


def _check_same_run(
    run: RunFolder, config: TrainConfig, inputs: Callable[[TrainConfig], Inputs], *, any_weights: bool
) -> None:
    had: dict[str, Any] = read_tree(run.path / INPUTS) if (run.path / INPUTS).is_file() else {}
    now = comparable(had, inputs(config)) if had else {}
    differ = unequal({**_deciding(read_config(run.config)), **had}, {**_deciding(config), **now})
    if any_weights:
        differ.pop(WEIGHTS, None)
    if differ:
        content = had.keys() | now.keys()
        shown = [
            f"{key}: other content" if key in content else f"{key}: got {was}, expected {wanted}"
            for key, (was, wanted) in differ.items()
        ]
        raise ConfigError(
            f"'{run.path}' was trained with other settings or data ({'; '.join(shown[:3])}). Fix: choose another "
            "--output, or delete it"
        )


def _deciding(config: TrainConfig) -> dict[str, Any]:
    return {
        key: value for key, value in flatten(config).items() if key not in NEUTRAL_SETTINGS and _decides(key, config)
    }


def _decides(key: str, config: TrainConfig) -> bool:
    """Return whether a setting of parts matters: not for models that see none, and of strips only that they are."""
    if not key.startswith("parts."):
        return True
    return "parts" in model_card(config.model.name).inputs and (config.parts.by == "pose" or key == "parts.by")


def _check_same_queries(run: RunFolder, queries: int) -> None:
    metrics = read_metrics(run)
    asked = metrics["queries"] + metrics["queries_dropped"]
    if asked != queries:
        raise ConfigError(
            f"'{run.path}' was measured with {asked:,} queries, but the data has {queries:,}. Fix: choose another "
            "--output, or delete it"
        )
