"""Models on disk: ``model.safetensors`` with its ``model.json``, in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save

from passerby.compat import DEFAULTS
from passerby.errors import ConfigError, WeightsError
from passerby.files import atomic_directory, atomic_write
from passerby.models.base import ReidModel
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
    """Write the weights, then the JSON that completes them; a reader never sees an incomplete model.

    Args:
        parts: how images are cut (:func:`~passerby.inference.keypoint_source.part_maker`), for a model that needs them.
        evaluation: ``flip_tta``, ``normalize``, ``distance``, ``draws`` and ``seed`` of
            :class:`~passerby.inference.model.Model`.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(run.path / "model.safetensors") as partial:
        partial.write_bytes(save(state))  # save_file ignores the umask: mode 0600
    description = {
        "defaults": DEFAULTS,
        "model": model.card.name,
        "options": options,
        "num_classes": _num_classes(state, model.identities),
        "size": list(size),
        "embedding_size": model.embedding_size,
        **({"parts": parts} if parts and "parts" in model.card.inputs else {}),
        **({"evaluation": evaluation} if evaluation else {}),
    }
    run.write_json("model.json", description)


def import_checkpoint(
    model: str,
    weights: str | Path,
    run: str | Path,
    *,
    options: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
) -> WeightsReport:
    """Create a run folder from a checkpoint of a registered model that another trainer wrote.

    Args:
        size: the image size (height, width); by default the model card's.

    Raises:
        WeightsError: if the checkpoint does not fit.
        ConfigError: if the folder exists.
        OutputError: if it cannot be written.
    """
    folder = RunFolder(run)
    if folder.path.exists():
        raise ConfigError(f"'{folder.path}' exists. Fix: choose a new folder for the imported model")
    size = size or model_card(model).input_size
    state = read_state(weights)
    built = create_model(model, num_classes=_num_classes(state, MODELS[model].identities), **(options or {}))
    report = load_weights(built, weights)
    with atomic_directory(folder.path) as partial:
        parts = PartsConfig().model_dump()
        save_model(RunFolder(partial), built, options=options or {}, size=size, parts=parts)
    return report


def _num_classes(state: dict[str, Any], identities: str) -> int:
    classifier = state.get(identities)
    if classifier is None or classifier.ndim == 0:
        raise WeightsError(f"the checkpoint has no {identities} matrix, so its number of classes is unknown")
    return int(classifier.shape[0])
