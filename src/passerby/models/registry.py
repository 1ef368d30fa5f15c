"""Models by name: ``create_model("aap_reid", num_classes=751, backbone="resnet50")``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from passerby.compat import known_option
from passerby.errors import ConfigError, UnknownNameError
from passerby.models.base import ReidModel
from passerby.models.card import CARD_CLASSES, ModelCard
from passerby.registry import Registry

MAX_PARAMETERS = 2_000_000_000
"""The number of parameters that a model may have: 8 gigabytes."""
MODELS: Registry[type[ReidModel]] = Registry("model", "passerby.models")


def register(cls: type[ReidModel]) -> type[ReidModel]:
    """Register a model class under the name of its card."""
    return MODELS.register(cls.card.name)(cls)


def list_models() -> list[str]:
    """Return the names of all models, sorted."""
    return list(MODELS)


def model_card(name: str) -> ModelCard:
    """Return the card of one model, without building it."""
    return MODELS[name].card


def model_size(name: str) -> tuple[int, int]:
    """Return embedding size and number of parameters, by default with the classifier of 751 identities.

    They stand on the card; only a model whose card lacks them is built, on the meta device.
    """
    card = model_card(name)
    if card.embedding_size is not None and card.parameters is not None:
        return card.embedding_size, card.parameters
    with torch.device("meta"):  # shapes without memory
        model = create_model(name, num_classes=CARD_CLASSES)
    return model.embedding_size, model.parameter_count()


def check_size(name: str, *, num_classes: int | None = None, **options: Any) -> None:
    """Check, before a model takes any memory, that it has no more parameters than a computer could train.

    Raises:
        ConfigError: if it has; otherwise as :func:`create_model`.
    """
    with torch.device("meta"):
        parameters = create_model(name, num_classes=num_classes, **options).parameter_count()
    if parameters > MAX_PARAMETERS:
        raise ConfigError(
            f"{name} would have {parameters:,} parameters, expected at most {MAX_PARAMETERS:,}. Fix: lower its options"
        )


def option_value(model: type[ReidModel], options: Mapping[str, Any], name: str) -> Any:
    """Return an option of a model as given, else its default; ``None`` where the model has no such option."""
    parameter = inspect.signature(model).parameters.get(name)
    return options.get(name, None if parameter is None else parameter.default)


def create_model(name: str, *, num_classes: int | None = None, **options: Any) -> ReidModel:
    """Build a model with fresh weights; its defaults are the final model of its paper.

    Args:
        num_classes: number of identities of the classifier (751 for Market-1501's training people). ``None`` builds an
            embedding-only model: it has no identity classifiers, its ``logits`` are ``None``, and it loads the state of
            a full model, ignoring the classifiers.
        options: the model's own keywords (backbone, last_stride, attention, …).

    Raises:
        UnknownNameError: for a model or an option that does not exist.
        ConfigError: if the options do not fit each other.
    """
    cls = MODELS[name]
    parameters = inspect.signature(cls).parameters
    options = {known_option(option, parameters): value for option, value in options.items()}
    for option in options:
        if option not in parameters:
            raise UnknownNameError(f"option of {name}", option, [p for p in parameters if p != "num_classes"])
    if num_classes is None and parameters["num_classes"].default is inspect.Parameter.empty:
        raise ConfigError(f"{name} has no embedding-only form. Fix: give num_classes")
    if num_classes is not None and num_classes < 1:
        raise ConfigError(f"a classifier needs at least one class, got num_classes={num_classes}")
    try:
        return cls(num_classes=num_classes, **options)
    except (TypeError, ValueError) as error:
        chosen = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ConfigError(f"{name} cannot be built with {chosen} ({error})") from None
