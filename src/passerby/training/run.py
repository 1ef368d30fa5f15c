"""The run folder: settings, environment, logs, checkpoints and the trained model. Every file is written atomically.

``config.json`` (resolved), ``inputs.json`` (digests of what it reads), ``environment.json``,
``backbone_weights.json`` (which tensors of a checkpoint were loaded), ``metrics.jsonl`` (one line per step),
``evaluations.jsonl`` (one line per evaluation between epochs), ``losses.png`` (written by ``passerby train``),
``checkpoints/epoch-NNNN`` (to resume from), ``model.safetensors`` + ``model.json`` (to use),
``metrics.json`` (the evaluation).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from passerby.compat import DEFAULTS
from passerby.errors import ConfigError
from passerby.files import atomic_directory, atomic_write

_PACKAGES = ("passerby", "torch", "kornia", "accelerate", "pytorch-metric-learning", "numpy", "pillow")


class RunFolder:
    """The paths of one run folder, and its atomic writes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics_log(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def evaluations_log(self) -> Path:
        return self.path / "evaluations.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def create(self, config: BaseModel) -> None:
        """Create the folder with its config and environment, atomically.

        Raises:
            ConfigError: if the path exists.
            OutputError: if it cannot be written.
        """
        if self.path.exists():
            way = f"continue it with --resume {self.path}" if any(self.checkpoints.glob("epoch-*")) else "delete it"
            raise ConfigError(f"'{self.path}' exists. Fix: choose another --run, or {way}")
        with atomic_directory(self.path) as partial:
            (partial / "config.json").write_text(_as_text(config))
            (partial / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")

    def write_config(self, config: BaseModel) -> None:
        """Replace the config by an equivalent one (whose data has another path, for example)."""
        with atomic_write(self.config) as partial:
            partial.write_text(_as_text(config))

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write one JSON file atomically."""
        with atomic_write(self.path / name) as partial:
            partial.write_text(json.dumps(value, indent=2) + "\n")

    def latest_checkpoint(self) -> Path:
        """Return the newest checkpoint folder.

        Raises:
            ConfigError: if there is none to resume from.
        """
        found = sorted(self.checkpoints.glob("epoch-*"))
        if not found:
            raise ConfigError(f"'{self.path}' has no checkpoint to resume from. Fix: train again under another --run")
        return found[-1]

    def adopt_checkpoint(self, partial: Path, epoch: int, *, world: int) -> None:
        """Turn a complete partial checkpoint of ``world`` processes into the newest one and delete older ones."""
        (partial / "world.json").write_text(json.dumps(world))
        older = sorted(self.checkpoints.glob("epoch-*"))
        partial.rename(self.checkpoints / f"epoch-{epoch:04d}")
        for folder in older:
            shutil.rmtree(folder)

    def check_world_size(self, checkpoint: Path, world: int) -> None:
        """Check that a run resumes with as many processes as it had: epochs have another length otherwise."""
        had = json.loads((checkpoint / "world.json").read_text())
        if had != world:
            raise ConfigError(
                f"'{self.path}' was trained by {had} processes, got {world}. Fix: resume it with {had} processes"
            )

    def log(self) -> list[dict[str, Any]]:
        """Return every step logged so far; a truncated last line does not count."""
        return _lines(self.metrics_log)

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the evaluations between epochs (``evaluate_every``); the final one is ``metrics.json``."""
        return _lines(self.evaluations_log)

    def log_evaluation(self, entry: dict[str, Any]) -> None:
        """Append one, with the ``step`` that it was made after."""
        with self.evaluations_log.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def cut_log(self, step: int) -> None:
        """Drop what was logged after ``step`` (by a run that died between two checkpoints)."""
        for file in (self.metrics_log, self.evaluations_log):
            if file.exists():
                kept = [json.dumps(entry) for entry in _lines(file) if entry["step"] <= step]
                with atomic_write(file) as partial:
                    partial.write_text("".join(f"{line}\n" for line in kept))


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    whole = file.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _as_text(config: BaseModel) -> str:
    return json.dumps({"defaults": DEFAULTS, **config.model_dump(mode="json")}, indent=2) + "\n"


def environment() -> dict[str, Any]:
    """Return what a reader needs to repeat a run: versions, machine, command, commit."""
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": _command(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def _command() -> str:
    program = Path(sys.argv[0]).name
    is_passerby = program in ("passerby", "__main__.py")
    return shlex.join(["passerby" if is_passerby else program, *sys.argv[1:]])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout this package runs from, with ``+`` where it has changes; else ``None``."""
    here = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
