"""The content of a run's folder: everything that a report knows without opening an image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.compat import current_settings, former_defaults, run_file
from passerby.errors import ConfigError
from passerby.explain.format import run_names
from passerby.metrics.calibration import Calibration, read_calibration
from passerby.models.keypoints.estimator import KIND
from passerby.training.inputs import INPUTS
from passerby.training.run import RunFolder
from passerby.weights.catalog import shipped

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Record:
    """The content of a run folder; what it lacks is empty or ``None``."""

    path: Path
    label: str
    """The short name of the run, unique within the report."""
    config: Json
    environment: Json
    inputs: Json
    """The digests of the files that the run read, by the setting that names them."""
    model: Json
    """The content of ``model.json``; empty if the run is not finished."""
    metrics: Json
    """The evaluation after training."""
    weights: Json
    """The receipt of the tensors that the backbone started from."""
    log: tuple[Json, ...]
    """The entries of the training log, one per step."""
    calibration: Calibration | None

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.model.get("model") or self.config.get("model", {}).get("name") or "unknown model")

    def setting(self, name: str) -> Any:
        """Return a setting of the config by its dotted name; ``None`` where it has none."""
        value: Any = self.config
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the config, by dotted name."""
        return dict(_dotted("", self.config))


def read_records(runs: Sequence[str | Path]) -> tuple[Record, ...]:
    """Read run folders, in order.

    Raises:
        ConfigError: if one is not a run folder, damaged, or given twice.
    """
    folders = [shipped(run) or Path(run).expanduser() for run in runs]
    places = [folder.resolve() for folder in folders]
    if twice := [str(folder) for folder, place in zip(folders, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"{' and '.join(twice)} are the same run. Fix: give each run once")
    return tuple(_read(folder, label) for folder, label in zip(folders, run_names(folders), strict=True))


def _read(folder: Path, label: str) -> Record:
    names = ("config", "environment", INPUTS.removesuffix(".json"), "model", "metrics", "backbone_weights")
    config, environment, inputs, model, metrics, weights = (_json(run_file(folder, f"{name}.json")) for name in names)
    config, model = (former_defaults(found) if found else found for found in (config, model))
    if not config and not model:
        raise ConfigError(
            f"{folder} is not a run folder (no config.json, no model.json). Fix: give a folder of `passerby train`"
        )
    if model.get("model") == KIND or config.get("recipe") == "pose":
        raise ConfigError(
            f"{folder} is a pose network, expected a person re-identification run: reports need embeddings. "
            "Fix: give such a run"
        )
    log = tuple(_log(folder))
    return Record(folder, label, config, environment, inputs, model, metrics, weights, log, read_calibration(folder))


def _json(file: Path) -> Json:
    """Read a JSON object; empty if the file is absent."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} is damaged ({error}). Fix: restore it, or train again") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{file} is damaged (not a JSON object). Fix: restore it, or train again")
    return current_settings(found)


def _log(folder: Path) -> list[Json]:
    run = RunFolder(folder)
    try:
        return run.log()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{run.metrics_log} is damaged ({error}). Fix: delete it; the report then has no training curves"
        ) from None


def _dotted(prefix: str, values: Json) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        found += _dotted(f"{prefix}{name}.", value) if nested else [(f"{prefix}{name}", value)]
    return found
