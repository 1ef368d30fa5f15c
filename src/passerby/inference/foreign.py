"""A checkpoint of another program → a network here, with what that program does around it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from passerby.data.images.normalize import Normalization
from passerby.errors import ConfigError, WeightsError
from passerby.models.base import ReidModel
from passerby.models.registry import MODELS, create_model, list_models
from passerby.weights.foreign.recognize import recognize, unwrapped
from passerby.weights.foreign.recognized import IMAGE_SIZE, Recognized, Rename, State
from passerby.weights.load import WeightsReport, compare, foreign_names, load_weights
from passerby.weights.read import read_checkpoint

_LOG = logging.getLogger(__name__)
_LIKELY = 0.9
"""The share of a model's tensors that a file of unknown origin must have for the model to be proposed."""


@dataclass(frozen=True, kw_only=True)
class ForeignModel:
    """A network with the weights of a foreign checkpoint."""

    network: ReidModel
    options: dict[str, Any]
    size: tuple[int, int]
    normalization: Normalization
    report: WeightsReport
    recognized: Recognized | None
    defaults: tuple[str, ...] = ()
    """The settings that are the toolkit's defaults: neither the file nor the caller told them."""

    @property
    def origin(self) -> dict[str, Any]:
        """The file, and the toolkit that wrote it, for ``model.json``."""
        toolkit = {"toolkit": self.recognized.toolkit} if self.recognized else {}
        return {**self.report.origin, **toolkit}

    def __str__(self) -> str:
        height, width = self.size
        parts = [f"{self.recognized.toolkit}'s {self.recognized.architecture}"] if self.recognized else []
        parts += [str(self.report), *(self.recognized.said if self.recognized else ())]
        parts += [f"images of {height}×{width}, normalization {self.normalization}"]
        if self.recognized and self.defaults:
            parts += [f"the file does not tell {' and '.join(self.defaults)}: {self.recognized.toolkit}'s defaults"]
        return "; ".join(parts)


def read_foreign(
    source: str | Path,
    *,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
) -> ForeignModel:
    """Build the network that a checkpoint is of, and load its weights.

    A checkpoint without a classifier becomes an embedding-only model.

    Args:
        model: the model, where names and shapes of the file's tensors do not tell, or to insist on one.
        options: options of the model; others than the file tells are an error where they do not fit.
        size: the image size (height, width); by default that of the toolkit, or else the model card's.
        missing: the prefixes of tensors that the checkpoint may lack; they keep initial values, always the same ones.
        unexpected: the prefixes of tensors that the checkpoint may have beside those of the model.

    Raises:
        WeightsError: if the file is no checkpoint, fits no model, or does not fit ``model``.
        ConfigError: if the file does not tell the image size, and none is given.
    """
    file = read_checkpoint(source)
    state = unwrapped(file.state)
    found = recognize(state, str(source)) if model is None else _recognize_for(model, state, str(source))
    if model is None:
        model = _check_known(found, state, source).model
    chosen = {**(found.options if found else {}), **(options or {})}
    defaults = tuple(each for each in found.untold if size is None or each != IMAGE_SIZE) if found else ()
    size = size or _size(model, found, source)
    with torch.device("meta"):  # names without memory
        rename = found.rename if found else foreign_names(create_model(model, num_classes=1, **chosen))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(model, num_classes=_count_classes(state, rename, model), **chosen)
    report = load_weights(network, source, missing=missing, unexpected=unexpected, rename=rename, read=file)
    normalization = cast("Normalization", found.normalization if found else "imagenet")
    made = ForeignModel(
        network=network,
        options=chosen,
        size=size,
        normalization=normalization,
        report=report,
        recognized=found,
        defaults=defaults,
    )
    _LOG.info("%s: %s", source, made)
    return made


def _recognize_for(model: str, state: State, source: str) -> Recognized | None:
    """Return what the file is, if it is of ``model``; a model that was asked for need not be one of a toolkit."""
    MODELS[model]
    try:
        found = recognize(state, source)
    except WeightsError:
        return None
    return found if found is not None and found.model == model else None


def _check_known(found: Recognized | None, state: State, source: str | Path) -> Recognized:
    if found is not None:
        return found
    names = [name for name in list_models() if _could_be(name, state)]
    known = f"it could be one of {', '.join(names)}" if names else "no model here has such tensors"
    fix = f"name it (model={names[0]!r}, or --model {names[0]})" if names else "see `passerby models`"
    first = ", ".join(list(state)[:3])
    raise WeightsError(
        f"'{source}' is of no toolkit that its {len(state):,} tensors would tell ({first}, …): {known}. Fix: {fix}"
    )


def _could_be(name: str, state: State) -> bool:
    try:
        with torch.device("meta"):
            model = create_model(name, num_classes=1)
    except ConfigError:  # of a plugin, which needs options
        return False
    return compare(model, state, ignore=model.heads).share >= _LIKELY


def _size(model: str, found: Recognized | None, source: str | Path) -> tuple[int, int]:
    sizes = found.sizes if found else (MODELS[model].card.input_size,)
    if len(sizes) > 1:
        several = " and ".join(f"{height}x{width}" for height, width in sizes)
        toolkit = found.toolkit if found else model
        raise ConfigError(
            f"'{source}' does not tell its image size, and {several} are usual for {toolkit}. Fix: give the one it "
            f"was trained with (size={sizes[0]}, or --size {sizes[0][0]}x{sizes[0][1]})"
        )
    return sizes[0]


def _count_classes(state: State, rename: Rename, model: str) -> int | None:
    """Return the number of identities of a checkpoint's classifier; ``None`` if it has none."""
    identities = MODELS[model].identities
    named = rename(state).items()
    found: list[Tensor] = [v for k, v in named if f".{k}".endswith(f".{identities}") and v.ndim > 1]
    return int(found[0].shape[0]) if found else None
