"""Backbones by name: a new one is one file whose class or function is registered in :data:`BACKBONES`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Protocol, get_args

from torch import nn

from passerby.errors import ConfigError
from passerby.models.attention import AttentionFactory
from passerby.registry import Registry

AttentionPosition = Literal["post_bn", "pre_bn"]


class Backbone(nn.Module, ABC):
    """A network that turns images into the map that heads pool."""

    channels: int
    """The number of channels of the map."""
    added: ClassVar[tuple[str, ...]] = ("attention",)
    """The names of modules, at any depth, that a paper adds: a checkpoint of the backbone itself lacks them."""

    @property
    @abstractmethod
    def stages(self) -> dict[str, nn.Module]:
        """The modules that end each size of map, by state key; the last one's output is the backbone's."""


class BackboneFactory(Protocol):
    """A callable that builds a backbone with fresh weights."""

    def __call__(
        self,
        *,
        last_stride: int,
        attention: AttentionFactory | None,
        attention_stages: tuple[int, ...],
        attention_position: AttentionPosition,
    ) -> Backbone: ...


BACKBONES: Registry[BackboneFactory] = Registry("backbone", "passerby.models.backbones")


def backbone_names() -> list[str]:
    """Return the names that :func:`create_backbone` knows, sorted."""
    return list(BACKBONES)


def create_backbone(
    name: str,
    *,
    last_stride: int = 2,
    attention: AttentionFactory | None = None,
    attention_stages: tuple[int, ...] = (3, 4),
    attention_position: AttentionPosition = "post_bn",
    **variant: Any,
) -> Backbone:
    """Build a backbone with fresh weights.

    Args:
        last_stride: stride of the last downsampling, 2 or 1 (a map twice as high and wide).
        attention: builds the attention module of a block, given its number of channels.
        attention_stages: stages whose blocks carry one.
        attention_position: after a block's last BN, or before it.
        variant: options that only some backbones have, such as ``stem`` and ``non_local`` of ResNets.

    Raises:
        UnknownNameError: for a name that is not in :func:`backbone_names`.
        ConfigError: for a stride, stage or position that the backbone does not have.
    """
    factory = BACKBONES[name]
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride is 1 or 2, got {last_stride}")
    if not {*attention_stages} <= {1, 2, 3, 4}:
        raise ConfigError(f"attention_stages are among 1, 2, 3 and 4, got {', '.join(map(str, attention_stages))}")
    if attention_position not in get_args(AttentionPosition):
        raise ConfigError(
            f"attention_position is {' or '.join(get_args(AttentionPosition))}, got {attention_position!r}"
        )
    return factory(
        last_stride=last_stride,
        attention=attention,
        attention_stages=attention_stages,
        attention_position=attention_position,
        **variant,
    )
