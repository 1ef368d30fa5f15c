"""The run folder: settings, environment, logs, checkpoints and the trained model. Every file is written atomically.

``config.json`` (resolved), ``inputs.json`` (digests of what it reads), ``environment.json``,
``backbone_weights.json`` (which tensors of a checkpoint were loaded), ``metrics.jsonl`` (one line per step),
``evaluations.jsonl`` (one line per evaluation between epochs), ``losses.png`` (written by ``passerby train``),
``checkpoints/epoch-NNNN`` (to resume from), ``model.safetensors`` + ``model.json`` (to use),
``metrics.json`` (the evaluation, by the distance that the settings name).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from passerby.compat import DEFAULTS, current_settings
from passerby.config import read_json
from passerby.errors import ConfigError, OutputError
from passerby.files import NO_ROOM, atomic_directory, atomic_write, check_new_folder, file_lock

_PACKAGES = ("passerby", "torch", "kornia", "accelerate", "pytorch-metric-learning", "numpy", "pillow")


LOCK = ".lock"
"""The file of a run folder that is locked while a process trains it."""
_BEFORE_THE_FIRST_EPOCH = {
    *("config.json", "environment.json", "inputs.json", "backbone_weights.json", "initial_weights.json"),
    *("metrics.jsonl", "evaluations.jsonl", "rounds.jsonl", "tensorboard", "checkpoints", LOCK),
}
"""All that a run folder holds until its first epoch is over."""


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

    def check_new(self) -> None:
        """Check that a new run may have this folder: it does not exist, or its run died before its first epoch ended.

        Raises:
            ConfigError: otherwise.
            OutputError: if it cannot be made.
        """
        if not self._exists():
            check_new_folder(self.path)
            return
        if self._died_at_once():
            return
        begun = self.checkpoint_epoch() is not None
        way = f"continue it with --resume {self.path}" if begun else "delete it"
        raise ConfigError(f"'{self.path}' exists. Fix: choose another --run, or {way}")

    def create(self, config: BaseModel) -> None:
        """Create the folder with its config and environment, atomically; a run that died at once makes way for it.

        Raises:
            ConfigError: if the path exists and holds anything else.
            OutputError: if it cannot be written, or another process trains in it.
        """
        self.check_new()
        if self._exists():
            with self.locked():
                shutil.rmtree(self.path)
        with atomic_directory(self.path) as partial:
            (partial / "config.json").write_text(_as_text(config))
            (partial / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")

    def _exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:  # a name too long, a folder that may not be entered
            raise OutputError(f"cannot write into '{self.path}': {error.strerror}. Fix: choose another --run") from None

    def _died_at_once(self) -> bool:
        """Return whether a run began here and no epoch of it is kept; nothing but its own files is in the folder."""
        if not self.config.is_file() or (self.checkpoint_epoch() or 0) > 0:
            return False
        return {entry.name for entry in self.path.iterdir()} <= _BEFORE_THE_FIRST_EPOCH

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        Raises:
            OutputError: if one does.
        """
        busy = f"'{self.path}' is being trained by another process. Fix: wait for it, or choose another --run"
        with file_lock(self.path / LOCK, otherwise=busy, remove=True):
            yield

    def unwritable(self, error: OSError) -> OutputError:
        """Return the error of a run that cannot write; it says how to go on."""
        way = "make room" if error.errno in NO_ROOM else "make the folder writable"
        return OutputError(
            f"cannot write into '{self.path}': {error.strerror or error}. Fix: {way}, then continue with --resume "
            f"{self.path}"
        )

    def write_config(self, config: BaseModel) -> None:
        """Replace the config by an equivalent one (whose data has another path, for example)."""
        with atomic_write(self.config) as partial:
            partial.write_text(_as_text(config))

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write one JSON file atomically."""
        with atomic_write(self.path / name) as partial:
            partial.write_text(json.dumps(value, indent=2) + "\n")

    def checkpoint_epoch(self) -> int | None:
        """Return the number of epochs after which the newest checkpoint was made; ``None`` if there is none."""
        found = self._checkpoints()
        return _epoch_of(found[-1]) if found else None

    def latest_checkpoint(self) -> Path:
        """Return the newest checkpoint folder.

        Raises:
            ConfigError: if there is none to resume from.
        """
        found = self._checkpoints()
        if not found:
            raise ConfigError(f"'{self.path}' has no checkpoint to resume from. Fix: train again under another --run")
        return found[-1]

    def _checkpoints(self) -> list[Path]:
        found = (path for path in self.checkpoints.glob("epoch-*") if path.name.removeprefix("epoch-").isdecimal())
        return sorted(found, key=_epoch_of)

    def adopt_checkpoint(self, partial: Path, epoch: int, *, world: int) -> None:
        """Turn a complete partial checkpoint of ``world`` processes into the newest one and delete older ones."""
        (partial / "world.json").write_text(json.dumps(world))
        older = self._checkpoints()
        partial.rename(self.checkpoints / f"epoch-{epoch:04d}")
        for folder in older:
            shutil.rmtree(folder)

    def check_world_size(self, checkpoint: Path, world: int) -> None:
        """Check that a run resumes with as many processes as it had: epochs have another length otherwise.

        Raises:
            ConfigError: if it does not, or the checkpoint does not say.
        """
        had = read_json(checkpoint / "world.json", fix="train again under another --run")
        if had != world:
            raise ConfigError(
                f"'{self.path}' was trained by {had!r} processes, got {world}. Fix: resume it with {had!r} processes"
            )

    def inputs(self) -> dict[str, str]:
        """Return the digests of what the run reads; empty for runs of before there were any.

        Raises:
            ConfigError: if the file is damaged.
        """
        file = self.path / "inputs.json"
        if not file.exists():
            return {}
        found = read_json(file, fix="train again under another --run")
        if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
            raise ConfigError(f"{file} is damaged: expected digests by name. Fix: train again under another --run")
        return current_settings(found)

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


def _epoch_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("epoch-"))


def _lines(file: Path) -> list[dict[str, Any]]:
    """Return the entries of a log, each of which has a ``step``.

    Raises:
        ConfigError: if a whole line is none.
    """
    if not file.exists():
        return []
    try:
        whole = file.read_text(encoding="utf-8").rpartition("\n")[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}). Fix: delete it; the run goes on without it") from None
    return [_entry(file, number, line) for number, line in enumerate(whole.splitlines(), start=1)]


def _entry(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    values = entry.values() if isinstance(entry, dict) else ["no entry"]
    plain = all(value is None or isinstance(value, (int, float)) for value in values)
    if not plain or not isinstance(entry.get("step"), int):
        raise ConfigError(f"{file}, line {number}, is no log entry: got {line[:40]!r}. Fix: delete the line")
    found: dict[str, Any] = entry
    return found


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
