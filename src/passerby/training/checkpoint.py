"""Models on disk: ``model.safetensors`` with its ``model.json``, in a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from passerby.compat import DEFAULTS
from passerby.data.images.normalize import Normalization
from passerby.errors import ConfigError
from passerby.files import atomic_directory, atomic_write
from passerby.models.base import ReidModel
from passerby.models.registry import MODELS, create_model, model_card
from passerby.training.config import PartsConfig
from passerby.training.run import RunFolder
from passerby.weights.load import WeightsReport, foreign_names, load_model
from passerby.weights.read import read_state


def save_model(
    run: RunFolder,
    model: ReidModel,
    *,
    options: dict[str, Any],
    size: tuple[int, int],
    normalization: Normalization = "imagenet",
    parts: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights, then the JSON that completes them; a reader never sees an incomplete model.

    Args:
        normalization: the normalization of the images that the network was trained with.
        parts: how images are cut (:func:`~passerby.inference.keypoint_source.part_maker`), for a model that needs them.
        evaluation: ``flip_tta``, ``normalize``, ``distance``, ``draws`` and ``seed`` of
            :class:`~passerby.inference.model.Model`.
        weights: the files that the weights come from, or that the training started from: name and SHA-256.
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
        "normalization": normalization,
        "embedding_size": model.embedding_size,
        **({"parts": parts} if parts and "parts" in model.card.inputs else {}),
        **({"evaluation": evaluation} if evaluation else {}),
        **({"weights": dict(weights)} if weights else {}),
    }
    run.write_json("model.json", description)


def import_checkpoint(
    model: str,
    weights: str | Path,
    run: str | Path,
    *,
    options: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
) -> WeightsReport:
    """Create a run folder from a checkpoint of a registered model that another trainer wrote.

    A checkpoint without a classifier becomes an embedding-only model.

    Args:
        size: the image size (height, width); by default the model card's.
        missing: the prefixes of tensors that the checkpoint may lack; they keep initial values, always the same ones.
        unexpected: the prefixes of tensors that the checkpoint may have beside those of the model.

    Raises:
        WeightsError: if the checkpoint does not fit.
        ConfigError: if the folder exists.
        OutputError: if it cannot be written.
    """
    folder = RunFolder(run)
    if folder.path.exists():
        raise ConfigError(f"'{folder.path}' exists. Fix: choose a new folder for the imported model")
    size = size or model_card(model).input_size
    with torch.device("meta"):  # names without memory
        rename = foreign_names(create_model(model, num_classes=1, **(options or {})))
    classes = _count_classes(rename(read_state(weights)), MODELS[model].identities)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = create_model(model, num_classes=classes, **(options or {}))
    report = load_model(built, weights, missing=missing, unexpected=unexpected)
    with atomic_directory(folder.path) as partial:
        parts = PartsConfig().model_dump()
        save_model(
            RunFolder(partial),
            built,
            options=options or {},
            size=size,
            parts=parts,
            weights={"imported": report.origin},
        )
    return report


def _count_classes(state: Mapping[str, Tensor], identities: str) -> int | None:
    """Return the number of identities of a checkpoint's classifier; ``None`` if it has none."""
    found = (v for k, v in state.items() if f".{k}".endswith(f".{identities}") and v.ndim > 1)
    return next((int(matrix.shape[0]) for matrix in found), None)


def _num_classes(state: Mapping[str, Tensor], identities: str) -> int | None:
    return int(state[identities].shape[0]) if identities in state else None
