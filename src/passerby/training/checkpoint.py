"""Models on disk: ``model.safetensors`` with ``model.json`` beside it, in a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from passerby.errors import ConfigError, WeightsError
from passerby.files import folder_made_whole, written_whole
from passerby.inference.model import Predictor
from passerby.metrics.calibration import read_calibration
from passerby.models.card import ReidModel
from passerby.models.keypoints.estimator import KIND
from passerby.models.registry import MODELS, create_model, model_card
from passerby.training.config import PartsConfig
from passerby.training.run import RunFolder
from passerby.weights.load import WeightsReport, load_weights, read_state


def save_model(
    run: RunFolder,
    model: ReidModel,
    *,
    options: dict[str, Any],
    size: tuple[int, int],
    parts: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
) -> None:
    """Write the weights, then the JSON that makes them a model; a reader never sees one without the other whole.

    Args:
        parts: how pictures are cut (:func:`~passerby.inference.keypoint_source.part_maker`) for a model that sees parts.
        evaluation: ``flip``, ``normalise``, ``draws`` and ``seed`` of
            :class:`~passerby.inference.model.Predictor`.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with written_whole(run.path / "model.safetensors") as partial:
        partial.write_bytes(save(state))  # save_file would hide it from other readers (mode 0600, whatever the umask)
    description = {
        "model": model.card.name,
        "options": options,
        "num_classes": _num_classes(state, model.identities),
        "size": list(size),
        "embedding_size": model.embedding_size,
        **({"parts": parts} if parts and "parts" in model.card.inputs else {}),
        **({"evaluation": evaluation} if evaluation else {}),
    }
    run.write_json("model.json", description)


def load(
    path: str | Path,
    *,
    device: str = "cpu",
    poses: str | None = None,
    flip: bool | None = None,
    normalise: bool | None = None,
) -> Predictor:
    """The model that a run folder holds, ready to embed pictures on ``device`` (``cuda``, ``cuda:1``, ``mps``, …).

    Args:
        poses: who knows the joints (:func:`~passerby.inference.keypoint_source.part_maker`) where a model that sees parts meets
            other pictures than those it was trained on; by default what its run says.
        flip: average each picture with its mirror image; by default what its run says.
        normalise: compare embeddings of length 1; by default what its run says, and else as the model's paper does.

    Raises:
        ConfigError: if ``path`` is not a run folder with a finished model, or ``poses`` are for one that sees no parts.
        WeightsError: if its files do not fit together.
    """
    folder = Path(path)
    description_file = folder / "model.json"
    if not description_file.is_file():
        raise ConfigError(f"{folder} holds no finished model (no model.json): give the folder of a completed run")
    try:
        description = json.loads(description_file.read_text())
        if description["model"] == KIND:
            raise ConfigError(f"{folder} holds a pose network, which finds joints: it is for --poses, not a RUN")
        height, width = (int(side) for side in description["size"])
        model = create_model(description["model"], num_classes=description["num_classes"], **description["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{description_file} is damaged ({error!r}); export or train the model again") from None
    if poses and "parts" not in model.card.inputs:
        raise ConfigError(f"{model.card.name} sees no parts of the body, so joints change nothing: leave --poses out")
    load_weights(model, folder / "model.safetensors", minimum=1.0)
    # a run that does not say whether it aligned whole bodies is from before that was possible
    parts = {"align": False, **description.get("parts", {}), **({"poses": poses} if poses else {})}
    asked = {"flip": flip, "normalise": normalise}
    evaluation = {**description.get("evaluation", {}), **{k: v for k, v in asked.items() if v is not None}}
    calibration = read_calibration(folder)
    return Predictor(_on(model, device), (height, width), parts=parts, calibration=calibration, **evaluation)


def _on(model: ReidModel, device: str) -> ReidModel:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} cannot be used ({str(error).splitlines()[0]})") from None


def import_checkpoint(
    model: str,
    weights: str | Path,
    run: str | Path,
    *,
    options: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
) -> WeightsReport:
    """Make a run folder of somebody else's checkpoint of a model that is known here.

    Args:
        size: of its pictures; the model card's where not given.

    Raises:
        WeightsError: if the checkpoint does not fit.
        ConfigError: if the folder exists.
        OutputError: if it cannot be written.
    """
    folder = RunFolder(run)
    if folder.path.exists():
        raise ConfigError(f"{folder.path} exists; choose a new folder for the imported model")
    size = size or model_card(model).input_size
    state = read_state(weights)
    built = create_model(model, num_classes=_num_classes(state, MODELS[model].identities), **(options or {}))
    report = load_weights(built, weights)
    with folder_made_whole(folder.path) as partial:
        parts = PartsConfig().model_dump()
        save_model(RunFolder(partial), built, options=options or {}, size=size, parts=parts)
    return report


def _num_classes(state: dict[str, Any], identities: str) -> int:
    classifier = state.get(identities)
    if classifier is None or classifier.ndim == 0:
        raise WeightsError(f"the checkpoint has no {identities} matrix, so its number of classes is unknown")
    return int(classifier.shape[0])
