"""Trunks: images ``(b, 3, h, w)`` → map ``(b, C, h/32, w/32)``. Features only; heads are the models'."""

from __future__ import annotations

from typing import get_args

from passerby.errors import ConfigError, UnknownNameError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones.mobilenet_v2 import MobileNetV2
from passerby.models.backbones.resnet import DEPTHS, AttentionPosition, ResNet

Backbone = MobileNetV2 | ResNet
_RESNETS: dict[str, tuple[int, float]] = {
    **{f"resnet{depth}": (depth, 1.0) for depth in DEPTHS},
    "resnet18_half": (18, 0.5),
    "resnet26_half": (26, 0.5),
}
"""Depth and width; ``_half`` has half the channels everywhere: small enough to train on a few processor cores."""


def backbone_names() -> list[str]:
    """Names that :func:`create_backbone` knows, sorted."""
    return sorted([*_RESNETS, "mobilenet_v2"])


def create_backbone(
    name: str,
    *,
    last_stride: int = 2,
    attention: AttentionFactory | None = None,
    attention_stages: tuple[int, ...] = (3, 4),
    attention_position: AttentionPosition = "post_bn",
) -> Backbone:
    """A backbone with fresh weights.

    Args:
        last_stride: of the last downsampling, 2 or 1 (a map twice as high and wide).
        attention: builds the module for a block of so many channels.
        attention_stages: whose blocks carry one.
        attention_position: after a block's last BN, or before it.

    Raises:
        UnknownNameError: for a name that is not in :func:`backbone_names`.
        ConfigError: for a stride, stage or position the backbone does not have.
    """
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride is 1 or 2, got {last_stride}")
    if not {*attention_stages} <= {1, 2, 3, 4}:
        raise ConfigError(f"attention_stages are among 1, 2, 3 and 4, got {', '.join(map(str, attention_stages))}")
    if attention_position not in get_args(AttentionPosition):
        raise ConfigError(
            f"attention_position is {' or '.join(get_args(AttentionPosition))}, got {attention_position!r}"
        )
    if name in _RESNETS:
        depth, width = _RESNETS[name]
        return ResNet(
            depth,
            width=width,
            last_stride=last_stride,
            attention=attention,
            attention_stages=attention_stages,
            attention_position=attention_position,
        )
    if name != "mobilenet_v2":
        raise UnknownNameError("backbone", name, backbone_names())
    if attention_position != "post_bn":
        raise ConfigError("mobilenet_v2 carries attention after the projection BN only: attention_position='post_bn'")
    return MobileNetV2(last_stride=last_stride, attention=attention, attention_stages=attention_stages)
