"""MobileNetV2 (Sandler et al., CVPR 2018) as a re-identification backbone.

State-dict keys are torchvision's (``features.N.conv…``), without the classifier, so that published
ImageNet weights load unchanged; :func:`flat_to_nested` renames the older layout in which an
inverted residual is one flat sequence ``conv.0 … conv.7``.

Deviations (the paper has none of them): ``last_stride`` acts on block 14; an attention module may stand after the
projection BN of a block, before the residual sum; ``mobilenet_v2_ibn_a`` has IBN-a's normalization behind the first
convolution of the blocks of stages 1 and 2, and takes ImageNet weights of the network without it
(:mod:`passerby.models.backbones.ibn`); ``mix_style`` mixes styles after blocks 3 and 6 in training. To number stages as
in the ResNets, blocks are grouped into four stages by width: 1 = blocks 2–6 (24 and 32 channels), 2 = 7–13 (64 and 96),
3 = 14–16 (160), 4 = 17 (320).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones.ibn import IBN, split_batch_norm
from passerby.models.backbones.mix_style import MixStyle
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
_IBN_STAGES = (1, 2)
_STYLED = (3, 6)
"""The index of the modules behind which styles are mixed: the last ones of the two largest maps."""
_LAST_OF_SIZE = (3, 6, 13, 18)
"""The index of the last module at each size of map; the last is the convolution after all blocks."""


def _conv_bn_relu6(
    c_in: int, c_out: int, *, kernel: int, stride: int = 1, groups: int = 1, ibn: bool = False
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        IBN(c_out) if ibn else nn.BatchNorm2d(c_out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """A block: expand 1×1 → depthwise 3×3 → project 1×1 (linear) [→ attention], and a residual sum if shapes allow."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        expansion: int,
        attention: nn.Module | None = None,
        ibn: bool = False,
    ) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_conv_bn_relu6(c_in, hidden, kernel=1, ibn=ibn))
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
        ibn: bool = False,
        mix_style: float = 0.0,
    ) -> None:
        super().__init__()
        if attention_position != "post_bn":
            raise ConfigError(
                "mobilenet_v2 carries attention after the projection BN only. Fix: set attention_position='post_bn'"
            )
        features: list[nn.Module] = [_conv_bn_relu6(3, 32, kernel=3, stride=2)]
        c_in = 32
        for row in _TABLE_2:
            stage = _STAGE_OF_WIDTH.get(row.c)
            attended = attention is not None and stage in attention_stages
            first_stride = last_stride if row.c == _LAST_DOWNSAMPLING else row.s
            for i in range(row.n):
                module = attention(row.c) if attention is not None and attended else None
                stride = first_stride if i == 0 else 1
                halved = ibn and stage in _IBN_STAGES
                features.append(
                    InvertedResidual(c_in, row.c, stride=stride, expansion=row.t, attention=module, ibn=halved)
                )
                c_in = row.c
        features.append(_conv_bn_relu6(c_in, CHANNELS, kernel=1))
        self.features = nn.Sequential(*features)
        self.mix_style = MixStyle(mix_style) if mix_style else None

    def fitted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a MobileNetV2 with or without IBN-a as those of this one."""
        return split_batch_norm(state, self)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The last module at each size of map, by its state key; the output of the last one is the backbone's."""
        return {f"features.{last}": self.features[last] for last in _LAST_OF_SIZE}

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = images
        for index, module in enumerate(self.features):
            maps = module(maps)
            if self.mix_style is not None and index in _STYLED:
                maps = self.mix_style(maps)
        return maps


BACKBONES.register("mobilenet_v2")(MobileNetV2)
BACKBONES.register("mobilenet_v2_ibn_a")(partial(MobileNetV2, ibn=True))
