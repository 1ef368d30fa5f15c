"""Models by name: ``create_model("aap_reid", num_classes=751, backbone="resnet50")``."""

from __future__ import annotations

import inspect
from typing import Any

from passerby.errors import ConfigError, UnknownNameError
from passerby.models.base import ReidModel
from passerby.models.card import ModelCard
from passerby.registry import Registry

MODELS: Registry[type[ReidModel]] = Registry("model", "passerby.models")


def register(cls: type[ReidModel]) -> type[ReidModel]:
    """Enter a model class under its card's name."""
    return MODELS.register(cls.card.name)(cls)


def list_models() -> list[str]:
    """Names of all models, sorted."""
    return list(MODELS)


def model_card(name: str) -> ModelCard:
    """The card of one model, without building it."""
    return MODELS[name].card


def create_model(name: str, *, num_classes: int, **options: Any) -> ReidModel:
    """Build a model with fresh weights; its defaults are its paper's final model.

    Args:
        num_classes: identities of the classifier (751 for Market-1501's training people).
        options: the model's own keywords (backbone, last_stride, attention, …).

    Raises:
        UnknownNameError: for a model or an option that does not exist.
    """
    cls = MODELS[name]
    known = [p for p in inspect.signature(cls).parameters if p != "num_classes"]
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name}", option, known)
    if num_classes < 1:
        raise ConfigError(f"a model needs at least one class, got num_classes={num_classes}")
    try:
        return cls(num_classes=num_classes, **options)
    except (TypeError, ValueError) as error:
        chosen = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ConfigError(f"{name} cannot be built with {chosen} ({error})") from None
