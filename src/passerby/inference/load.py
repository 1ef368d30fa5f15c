"""A run folder → a model that is ready to embed images."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from passerby.compat import FORMER_SETTINGS
from passerby.errors import ConfigError
from passerby.inference.description import build_described, damaged, read_description
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.metrics.calibration import read_calibration
from passerby.models.base import ReidModel
from passerby.models.registry import option_value
from passerby.weights.load import load_weights

_LOG = logging.getLogger(__name__)


def load(path: str | Path, options: InferenceOptions | None = None, **changes: Any) -> Model:
    """Return the model that a run folder holds, ready to embed images.

    Args:
        options: how to embed (:class:`~passerby.inference.options.InferenceOptions`); what is ``None`` is decided by
            the run, or else by the model's paper.
        changes: single options by name: ``load("runs/x", device="cuda", batch_size=256)``.

    Raises:
        ConfigError: if ``path`` is not a run folder with a finished model, the device cannot be used, or ``keypoints``
            are given for a model that sees no body parts.
        UnknownNameError: for an option that does not exist.
        WeightsError: if the run's files do not fit together.
    """
    options = (options or InferenceOptions()).updated(**changes)
    folder = Path(path)
    description_file = folder / "model.json"
    if not folder.exists():
        raise ConfigError(f"'{folder}' does not exist. Fix: give the folder of a completed run")
    if not description_file.is_file():
        raise ConfigError(f"{folder} holds no finished model (no model.json): give the folder of a completed run")
    description = read_description(folder)
    network = build_described(folder, description)
    if options.keypoints and "parts" not in network.card.inputs:
        raise ConfigError(f"{network.card.name} sees no body parts, so keypoints change nothing: leave --keypoints out")
    load_weights(network, folder / "model.safetensors")
    # a run that does not say how it cropped is from before these ways were possible
    parts = {**FORMER_SETTINGS["parts"], **description.parts.model_dump(exclude_unset=True)}
    evaluation = description.evaluation.model_dump(exclude_unset=True)
    decided = {"keypoints": parts.pop("keypoints", None)} | {
        k: evaluation.pop(k, None) for k in ("flip_tta", "normalize")
    }
    make = partial(
        Model,
        network,
        description.size,
        options.with_defaults(**decided),
        parts=parts,
        calibration=read_calibration(folder),
        backbone=_backbone(network, description.options),
        normalization=description.normalization,
    )
    try:
        model = make(**evaluation)
    except TypeError as error:  # an entry that no version writes
        raise damaged(description_file, str(error)) from None
    _LOG.info("%s: %r, %s", folder, model, model.options.describe())
    return model


def _backbone(network: ReidModel, options: dict[str, Any]) -> str | None:
    """Return the name that the network's backbone was built by."""
    name = option_value(type(network), options, "backbone")
    return name if isinstance(name, str) else None
