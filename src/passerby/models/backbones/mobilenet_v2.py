"""MobileNetV2 (Sandler et al., CVPR 2018) as a re-identification backbone.

State-dict keys are torchvision's (``features.N.conv…``), without the classifier, so that published
ImageNet weights load unchanged; :func:`flat_to_nested` renames the older layout in which an
inverted residual is one flat sequence ``conv.0 … conv.7``.

Deviations (the paper has neither): ``last_stride`` acts on block 14, and an attention module may
stand after the projection BN of a block, before the residual sum. To number stages as in
the ResNets, blocks are grouped into four stages by width: 1 = blocks 2–6 (24 and 32 channels),
2 = 7–13 (64 and 96), 3 = 14–16 (160), 4 = 17 (320).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones.registry import BACKBONES, AttentionPosition, Backbone

CHANNELS = 1280


class _Row(NamedTuple):
    """A row of the paper's Table 2: expansion t, output channels c, repeats n, first stride s."""

    t: int
    c: int
    n: int
    s: int


_TABLE_2 = (
    _Row(1, 16, 1, 1),
    _Row(6, 24, 2, 2),
    _Row(6, 32, 3, 2),
    _Row(6, 64, 4, 2),
    _Row(6, 96, 3, 1),
    _Row(6, 160, 3, 2),
    _Row(6, 320, 1, 1),
)
_STAGE_OF_WIDTH = {24: 1, 32: 1, 64: 2, 96: 2, 160: 3, 320: 4}
_LAST_DOWNSAMPLING = 160
_LAST_OF_SIZE = (3, 6, 13, 18)
"""The index of the last module at each size of map; the last is the convolution after all blocks."""


def _conv_bn_relu6(c_in: int, c_out: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """A block: expand 1×1 → depthwise 3×3 → project 1×1 (linear) [→ attention], and a residual sum if shapes allow."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, expansion: int, attention: nn.Module | None) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_conv_bn_relu6(c_in, hidden, kernel=1))
        layers += [
            _conv_bn_relu6(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        self.conv = nn.Sequential(*layers)
        self.attention = attention
        self.has_shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        if self.attention is not None:
            y = self.attention(y)
        return x + y if self.has_shortcut else y


class MobileNetV2(Backbone):
    """A MobileNetV2: images ``(b, 3, h, w)`` → map ``(b, 1280, h/32, w/32)`` (``h/16`` with ``last_stride=1``)."""

    channels = CHANNELS

    def __init__(
        self,
        *,
        last_stride: int = 2,
        attention: AttentionFactory | None = None,
        attention_stages: tuple[int, ...] = (3, 4),
        attention_position: AttentionPosition = "post_bn",
    ) -> None:
        super().__init__()
        if attention_position != "post_bn":
            raise ConfigError(
                "mobilenet_v2 carries attention after the projection BN only. Fix: set attention_position='post_bn'"
            )
        features: list[nn.Module] = [_conv_bn_relu6(3, 32, kernel=3, stride=2)]
        c_in = 32
        for row in _TABLE_2:
            attended = attention is not None and _STAGE_OF_WIDTH.get(row.c) in attention_stages
            first_stride = last_stride if row.c == _LAST_DOWNSAMPLING else row.s
            for i in range(row.n):
                module = attention(row.c) if attention is not None and attended else None
                stride = first_stride if i == 0 else 1
                features.append(InvertedResidual(c_in, row.c, stride=stride, expansion=row.t, attention=module))
                c_in = row.c
        features.append(_conv_bn_relu6(c_in, CHANNELS, kernel=1))
        self.features = nn.Sequential(*features)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The last module at each size of map, by its state key; the output of the last one is the backbone's."""
        return {f"features.{last}": self.features[last] for last in _LAST_OF_SIZE}

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.features(images)
        return out


BACKBONES.register("mobilenet_v2")(MobileNetV2)
