"""The model that an adaptation starts with."""

from __future__ import annotations

from pathlib import Path

from passerby.errors import ConfigError
from passerby.inference.description import RunDescription, read_description
from passerby.inference.load import load
from passerby.inference.model import Model
from passerby.weights.catalog import shipped


def load_start(start: str, *, keypoints: str | None) -> tuple[Model, RunDescription]:
    """Return the model of a run folder, or of weights in the package, and its description.

    Raises:
        ConfigError: if it is a file, whose weights cannot be trained further or saved as a run.
    """
    folder = Path(start)
    if folder.is_file():
        kind = "an ONNX file, whose weights cannot be trained" if folder.suffix == ".onnx" else "a file"
        way = (
            "the run that it was exported from"
            if folder.suffix == ".onnx"
            else "its run folder (passerby import-weights)"
        )
        raise ConfigError(f"'{folder}' is {kind}, expected a run folder. Fix: give {way}")
    model = load(start, keypoints=keypoints)
    return model, read_description(shipped(start) or folder)
