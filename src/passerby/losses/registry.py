"""Losses by name: a new one is one file, whose module class carries ``@register(ItsConfig)``.

class CircleConfig(BaseLossConfig):
name: Literal["circle"] = "circle"
scale: float = Field(64.0, gt=0)

@register(CircleConfig)
class CircleLoss(nn.Module):
def __init__(self, *, scale: float = 64.0) -> None: ...
def forward(self, output: ModelOutput, batch: Batch) -> LossParts: ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BeforeValidator, SerializeAsAny
from torch import nn

from passerby.errors import ConfigError
from passerby.losses.base import BaseLossConfig
from passerby.registry import Registry

M = TypeVar("M", bound=type[nn.Module])


class Loss(NamedTuple):
    """An entry of the registry."""

    config: type[BaseLossConfig]
    module: type[nn.Module]


LOSSES: Registry[Loss] = Registry("loss", "passerby.losses")
_DEFAULT = "reid"
"""The loss of configs that name none, as those of version 0.1."""


def register(config: type[BaseLossConfig]) -> Callable[[M], M]:
    """Register the decorated module under the default ``name`` of its config."""

    def enter(module: M) -> M:
        LOSSES.register(config.model_fields["name"].default)(Loss(config, module))
        return module

    return enter


def create_loss(config: BaseLossConfig) -> nn.Module:
    """Build the loss of a config: called with a model's output and the batch, it returns ``LossParts``."""
    return LOSSES[config.name].module(**config.model_dump(exclude={"name"}))


def parse_loss_config(value: Any) -> Any:
    """Return the config of a loss from plain values, by their ``name``; other values unchanged.

    Raises:
        UnknownNameError: for a name that no loss has.
        ConfigError: for settings that the loss does not have.
        ValidationError: for values that its config does not accept.
    """
    if not isinstance(value, Mapping):
        return value
    name = str(value.get("name", _DEFAULT))
    config = LOSSES[name].config
    if config.model_config.get("extra") == "forbid" and (
        lacks := [key for key in value if key not in config.model_fields]
    ):
        known = ", ".join(key for key in config.model_fields if key != "name") or "none"
        plural = "s" if len(lacks) > 1 else ""
        raise ConfigError(
            f"the loss {name!r} has no setting{plural} {', '.join(lacks)}: it has {known}. "
            f"Fix: --set 'loss={json.dumps({'name': name})}' replaces all settings of the loss"
        )
    return config.model_validate(value)


AnyLossConfig = Annotated[SerializeAsAny[BaseLossConfig], BeforeValidator(parse_loss_config)]
"""A config field that accepts the settings of every registered loss."""
