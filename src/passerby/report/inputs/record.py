"""What a run's folder says of it: everything that a report can know without a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.compat import current_settings, run_file
from passerby.errors import ConfigError
from passerby.explain.format import run_names
from passerby.metrics.calibration import Calibration, read_calibration
from passerby.models.keypoints.estimator import KIND
from passerby.training.inputs import INPUTS
from passerby.training.run import RunFolder

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Record:
    """A run folder, read; what it lacks is empty or ``None``."""

    path: Path
    label: str
    """Short, and no other run's of the same report."""
    config: Json
    environment: Json
    inputs: Json
    """Digests of what was read, by the setting that names it."""
    model: Json
    """Empty of a run that is not finished."""
    metrics: Json
    """The evaluation at the end of the training."""
    weights: Json
    """Which tensors the backbone began with."""
    log: tuple[Json, ...]
    """A training step each."""
    calibration: Calibration | None

    @property
    def name(self) -> str:
        """Of the model."""
        return str(self.model.get("model") or self.config.get("model", {}).get("name") or "unknown model")

    def setting(self, name: str) -> Any:
        """A setting of the config by its dotted name; ``None`` where it has none."""
        value: Any = self.config
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @property
    def settings(self) -> dict[str, Any]:
        """All of the config by dotted names."""
        return dict(_dotted("", self.config))


def read_records(runs: Sequence[str | Path]) -> tuple[Record, ...]:
    """Run folders, in order.

    Raises:
        ConfigError: if one is no run's folder, damaged, or named twice.
    """
    folders = [Path(run).expanduser() for run in runs]
    places = [folder.resolve() for folder in folders]
    if twice := [str(folder) for folder, place in zip(folders, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"{' and '.join(twice)} are the same run: name each once")
    return tuple(_read(folder, label) for folder, label in zip(folders, run_names(folders), strict=True))


def _read(folder: Path, label: str) -> Record:
    names = ("config", "environment", INPUTS.removesuffix(".json"), "model", "metrics", "backbone_weights")
    config, environment, inputs, model, metrics, weights = (_json(run_file(folder, f"{name}.json")) for name in names)
    if not config and not model:
        raise ConfigError(
            f"{folder} is no run (no config.json, no model.json): give a folder that `passerby train` made"
        )
    if model.get("model") == KIND or config.get("recipe") == "pose":
        raise ConfigError(f"{folder} holds a pose network, which finds joints: reports are of runs that find people")
    log = tuple(_log(folder))
    return Record(folder, label, config, environment, inputs, model, metrics, weights, log, read_calibration(folder))


def _json(file: Path) -> Json:
    """Of a file that may be absent."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} is damaged ({error}); restore it, or train the run again") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{file} is damaged (no object); restore it, or train the run again")
    return current_settings(found)


def _log(folder: Path) -> list[Json]:
    run = RunFolder(folder)
    try:
        return run.log()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run.metrics_log} is damaged ({error}); delete it, and the report does without") from None


def _dotted(prefix: str, values: Json) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        found += _dotted(f"{prefix}{name}.", value) if nested else [(f"{prefix}{name}", value)]
    return found
