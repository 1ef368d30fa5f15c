"""TODO docstring."""

from __future__ import annotations

import json
from pathlib import Path

from passerby.compat import current_settings
from passerby.errors import ConfigError
from passerby.inference.model import Model
from passerby.metrics.calibration import read_calibration
from passerby.models.base import ReidModel
from passerby.models.keypoints.estimator import KIND
from passerby.models.registry import create_model
from passerby.weights.load import load_weights


def load(
    path: str | Path,
    *,
    device: str = "cpu",
    keypoints: str | None = None,
    flip_tta: bool | None = None,
    normalize: bool | None = None,
) -> Model:
    """The model that a run folder holds, ready to embed pictures on ``device`` (``cuda``, ``cuda:1``, ``mps``, …).

    Args:
        keypoints: who knows the joints (:func:`~passerby.inference.keypoint_source.part_maker`) where a model that sees parts meets
            other pictures than those it was trained on; by default what its run says.
        flip_tta: average each picture with its mirror image; by default what its run says.
        normalize: compare embeddings of length 1; by default what its run says, and else as the model's paper does.

    Raises:
        ConfigError: if ``path`` is not a run folder with a finished model, or ``keypoints`` are for one that sees no parts.
        WeightsError: if its files do not fit together.
    """
    folder = Path(path)
    description_file = folder / "model.json"
    if not description_file.is_file():
        raise ConfigError(f"{folder} holds no finished model (no model.json): give the folder of a completed run")
    try:
        description = current_settings(json.loads(description_file.read_text()))
        if description["model"] == KIND:
            raise ConfigError(f"{folder} holds a pose network, which finds joints: it is for --poses, not a RUN")
        height, width = (int(side) for side in description["size"])
        model = create_model(description["model"], num_classes=description["num_classes"], **description["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{description_file} is damaged ({error!r}); export or train the model again") from None
    if keypoints and "parts" not in model.card.inputs:
        raise ConfigError(f"{model.card.name} sees no parts of the body, so joints change nothing: leave --poses out")
    load_weights(model, folder / "model.safetensors", minimum=1.0)
    # a run that does not say whether it aligned whole bodies is from before that was possible
    parts = {"align": False, **description.get("parts", {}), **({"keypoints": keypoints} if keypoints else {})}
    asked = {"flip_tta": flip_tta, "normalize": normalize}
    evaluation = {**description.get("evaluation", {}), **{k: v for k, v in asked.items() if v is not None}}
    calibration = read_calibration(folder)
    return Model(_on(model, device), (height, width), parts=parts, calibration=calibration, **evaluation)


def _on(model: ReidModel, device: str) -> ReidModel:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} cannot be used ({str(error).splitlines()[0]})") from None
