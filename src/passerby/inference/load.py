"""A run folder, an ONNX file of one, or a checkpoint of another program → a model that is ready to embed images."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from passerby.compat import FORMER_SETTINGS
from passerby.data.images.normalize import Normalization
from passerby.errors import ConfigError
from passerby.inference.description import build_described, damaged, read_description
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions, resolve_device
from passerby.inference.session import TorchSession
from passerby.metrics.calibration import read_calibration
from passerby.models.base import ReidModel
from passerby.models.card import ModelCard
from passerby.models.registry import option_value
from passerby.weights.catalog import CATALOG, shipped
from passerby.weights.find import MODEL_FILE
from passerby.weights.formats import is_onnx_file
from passerby.weights.load import load_weights

_LOG = logging.getLogger(__name__)


def load(
    path: str | Path,
    options: InferenceOptions | None = None,
    *,
    model: str | None = None,
    size: tuple[int, int] | None = None,
    **changes: Any,
) -> Model:
    """Return the model of a run folder, or of a checkpoint of another toolkit, ready to embed images.

    Args:
        path: a run folder; a name of weights in the package (:mod:`passerby.weights.catalog`), ``street``; an ONNX file
            of ``passerby export``; or a checkpoint file of torchreid, fast-reid or another
            program (docs/checkpoints.md), whose architecture its names and shapes tell.
        options: how to embed (:class:`~passerby.inference.options.InferenceOptions`); what is ``None`` is decided by
            the run, or else by the model's paper.
        model: the model that a checkpoint file is of, where it does not tell (:func:`passerby.list_models`).
        size: the image size (height, width) of a checkpoint file's model, where it does not tell.
        changes: single options by name: ``load("runs/x", device="cuda", batch_size=256)``.

    Raises:
        ConfigError: if ``path`` is not a run folder with a finished model, the device cannot be used, or ``keypoints``
            are given for a model that sees no body parts.
        UnknownNameError: for an option that does not exist.
        WeightsError: if the run's files do not fit together, or a checkpoint is of no model that is known.
    """
    options = (options or InferenceOptions()).updated(**changes)
    folder = shipped(path) or Path(path)
    if folder.is_file() and is_onnx_file(folder):
        _check_untold(folder, model, size)
        return _load_onnx(folder, options)
    if not folder.is_dir() and (folder.is_file() or Path(str(path).rpartition("#")[0]).is_file()):
        return _load_file(path, options, model=model, size=size)
    _check_untold(folder, model, size)
    description_file = folder / "model.json"
    if not folder.exists():
        raise ConfigError(
            f"'{folder}' does not exist. Fix: give the folder of a completed run, or {' or '.join(CATALOG)}"
        )
    if not description_file.is_file():
        raise ConfigError(f"{folder} holds no finished model (no model.json). Fix: give the folder of a completed run")
    description = read_description(folder)
    network = build_described(folder, description)
    _check_keypoints(network.card, options)
    load_weights(network, folder / "model.safetensors")
    # a run that does not say how it cropped is from before these ways were possible
    parts = {**FORMER_SETTINGS["parts"], **description.parts.model_dump(exclude_unset=True)}
    evaluation = description.evaluation.model_dump(exclude_unset=True)
    decided = {"keypoints": parts.pop("keypoints", None)} | {
        k: evaluation.pop(k, None) for k in ("flip_tta", "normalize")
    }
    make = partial(
        Model,
        _session(network, options, description.normalization),
        description.size,
        options.with_defaults(**decided),
        parts=parts,
        calibration=read_calibration(folder),
        backbone=_backbone(network, description.options),
    )
    try:
        loaded = make(**evaluation)
    except TypeError as error:  # an entry that no version writes
        raise damaged(description_file, str(error)) from None
    _LOG.info("%s: %r, %s", folder, loaded, loaded.options.describe())
    return loaded


def _load_file(
    path: str | Path, options: InferenceOptions, *, model: str | None, size: tuple[int, int] | None
) -> Model:
    """Return the model of a checkpoint file; what recognizes it is imported for such a file only.

    Raises:
        ConfigError: if it is the file inside a run folder, or its model sees body parts.
    """
    from passerby.inference.foreign import read_foreign

    folder = Path(path).parent
    if Path(path).name == MODEL_FILE and (folder / "model.json").is_file():
        raise ConfigError(f"'{path}' is the weights of a run. Fix: give its folder, '{folder}'")
    found = read_foreign(path, model=model, size=size)
    network = found.network
    if "parts" in network.card.inputs:
        raise ConfigError(
            f"{network.card.name} sees body parts, and a checkpoint does not tell how they are cut. Fix: make a run "
            f"folder of it, `passerby import-weights {path} --model {network.card.name} -o RUN`, and load that"
        )
    _check_keypoints(network.card, options)
    backbone = _backbone(network, found.options)
    return Model(_session(network, options, found.normalization), found.size, options, backbone=backbone)


def _session(network: ReidModel, options: InferenceOptions, normalization: Normalization) -> TorchSession:
    """Return a session of a network that is only used, on the device of the options."""
    return TorchSession(network.to(resolve_device(options.device)).eval(), normalization=normalization, folded=True)


def _load_onnx(file: Path, options: InferenceOptions) -> Model:
    """Return the model of an ONNX file; its packages are imported for such a file only."""
    from passerby.inference.onnx.session import OnnxSession

    session = OnnxSession(file, options.device)
    _check_keypoints(session.card, options)
    about, how = session.about, session.about.evaluation
    model = Model(
        session,
        about.size,
        options.with_defaults(flip_tta=how.flip_tta, normalize=how.normalize),
        draws=how.draws,
        seed=how.seed,
        distance=how.distance,
        calibration=session.calibration,
        backbone=about.backbone,
    )
    _LOG.info("%s: %r, %s", file, model, model.options.describe())
    return model


def _check_untold(path: Path, model: str | None, size: tuple[int, int] | None) -> None:
    if model is not None or size is not None:
        raise ConfigError(f"model and size are of a checkpoint file; '{path}' is none. Fix: leave them out")


def _check_keypoints(card: ModelCard, options: InferenceOptions) -> None:
    if options.keypoints and "parts" not in card.inputs:
        raise ConfigError(f"{card.name} sees no body parts, so keypoints change nothing. Fix: leave --keypoints out")


def _backbone(network: ReidModel, options: dict[str, Any]) -> str | None:
    """Return the name that the network's backbone was built by."""
    name = option_value(type(network), options, "backbone")
    return name if isinstance(name, str) else None
