"""Models on disk: ``model.safetensors`` with its ``model.json``, in a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from passerby.compat import DEFAULTS
from passerby.data.images.normalize import Normalization
from passerby.errors import ConfigError
from passerby.files import atomic_directory, atomic_write, check_new_folder
from passerby.inference.foreign import ForeignModel, read_foreign
from passerby.models.base import ReidModel
from passerby.training.config import PartsConfig
from passerby.training.run import RunFolder


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
    model: str | None,
    weights: str | Path,
    run: str | Path,
    *,
    options: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
) -> ForeignModel:
    """Create a run folder from a checkpoint that another trainer wrote.

    A checkpoint without a classifier becomes an embedding-only model.

    Args:
        model: the registered model; ``None``: told by the names and shapes of the checkpoint's tensors.
        size: the image size (height, width); by default the toolkit's or the model card's.
        missing: the prefixes of tensors that the checkpoint may lack; they keep initial values, always the same ones.
        unexpected: the prefixes of tensors that the checkpoint may have beside those of the model.

    Raises:
        WeightsError: if the checkpoint does not fit, or does not tell its model.
        ConfigError: if the folder exists, or the checkpoint does not tell its image size.
        OutputError: if it cannot be written.
    """
    folder = _new_folder(run)
    found = read_foreign(weights, model=model, options=options, size=size, missing=missing, unexpected=unexpected)
    with atomic_directory(folder.path) as partial:
        save_model(
            RunFolder(partial),
            found.network,
            options=found.options,
            size=found.size,
            normalization=found.normalization,
            parts=PartsConfig().model_dump(),
            weights={"imported": found.origin},
        )
    return found


def import_shipped(weights: Path, run: str | Path) -> None:
    """Create a run folder from weights in the package (:func:`~passerby.weights.catalog.shipped`).

    Raises:
        ConfigError: if the folder exists.
        OutputError: if it cannot be written.
    """
    with atomic_directory(_new_folder(run).path) as partial:
        for file in weights.iterdir():
            (partial / file.name).write_bytes(file.read_bytes())


def _new_folder(run: str | Path) -> RunFolder:
    folder = RunFolder(run)
    if folder.path.exists():
        raise ConfigError(f"'{folder.path}' exists. Fix: choose a new folder for the imported model")
    check_new_folder(folder.path)
    return folder


def _num_classes(state: Mapping[str, Tensor], identities: str) -> int | None:
    return int(state[identities].shape[0]) if identities in state else None
