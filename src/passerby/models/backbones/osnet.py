"""The convolutional part of OSNet (Zhou et al., Omni-Scale Feature Learning, ICCV 2019), its Table 1.

A block (the paper's Fig 3b) runs four streams of 1, 2, 3 and 4 *Lite 3×3* convolutions (receptive
fields 3, 5, 7, 9), weighs the channels of each with one shared *aggregation gate* (Eq 2, reduction
16), sums them and adds the shortcut. Three stages of two blocks; a 1×1 convolution and a 2×2 average
pool lead from each to the next. State-dict keys are torchreid's.

Two variants for other cameras (Zhou et al., Learning Generalisable Omni-Scale Representations, TPAMI 2021) use instance
normalization, which removes an image's own style: OSNet-IBN in the stem and behind both residual sums of the first
stage; OSNet-AIN in the stem and, in the blocks that the paper's search chose, inside the residual path, where it
replaces the last batch normalization.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

WIDTHS = (64, 256, 384, 512)
"""The numbers of channels of the stem and the three stages at width 1.0."""
_GATE_REDUCTION = 16
_BOTTLENECK = 4
_SEARCHED = ((True, True), (False, True), (True, False))
"""The blocks of each stage that OSNet-AIN gives an instance normalization inside the residual path."""
Normalization = Literal["batch", "ibn", "ain"]
"""The normalization of an OSNet: batch normalization alone, or one of the variants with instance normalization."""


def _instance_norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


class _ConvBN(nn.Module):
    """A convolution (no bias) → BN [→ ReLU], or instance normalization in place of BN."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, relu: bool = True, instance: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = _instance_norm(c_out) if instance else nn.BatchNorm2d(c_out)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return torch.relu(y) if self.relu else y


class _Lite3x3(nn.Module):
    """A 3×3 convolution in two: pointwise, then depthwise (the paper's Fig 2b) → BN → ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv2(self.conv1(x))))


class _AggregationGate(nn.Module):
    """The gate of Eq 2, x ⊙ G(x), G = GAP → C/16 → ReLU → C → sigmoid; one gate serves all streams of a block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // _GATE_REDUCTION
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))


class OSBlock(nn.Module):
    """The omni-scale residual block.

    Args:
        ibn: whether the sum of residual and shortcut is instance-normalized before the last ReLU (OSNet-IBN).
    """

    def __init__(self, c_in: int, c_out: int, *, ibn: bool = False) -> None:
        super().__init__()
        middle = c_out // _BOTTLENECK
        self.conv1 = _ConvBN(c_in, middle)
        self.conv2a = _Lite3x3(middle)
        self.conv2b = nn.Sequential(*(_Lite3x3(middle) for _ in range(2)))
        self.conv2c = nn.Sequential(*(_Lite3x3(middle) for _ in range(3)))
        self.conv2d = nn.Sequential(*(_Lite3x3(middle) for _ in range(4)))
        self.gate = _AggregationGate(middle)
        self.conv3 = _ConvBN(middle, c_out, relu=False)
        self.downsample = _ConvBN(c_in, c_out, relu=False) if c_in != c_out else None
        self.IN = _instance_norm(c_out) if ibn else None

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.conv1(x)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        gated = torch.stack([self.gate(stream(squeezed)) for stream in streams]).sum(0)
        shortcut = x if self.downsample is None else self.downsample(x)
        total = self.conv3(gated) + shortcut
        return torch.relu(total if self.IN is None else self.IN(total))


class _Stream(nn.Module):
    """A row of Lite 3×3 convolutions, under OSNet-AIN's key."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Lite3x3(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Linear1x1(nn.Module):
    """A 1×1 convolution without normalization, under the key of one that has it."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class AINBlock(nn.Module):
    """The block of OSNet-AIN, with or without instance normalization inside its residual path."""

    def __init__(self, c_in: int, c_out: int, *, instance: bool) -> None:
        super().__init__()
        middle = c_out // _BOTTLENECK
        self.conv1 = _ConvBN(c_in, middle)
        self.conv2 = nn.ModuleList(_Stream(middle, depth) for depth in range(1, 5))
        self.gate = _AggregationGate(middle)
        self.conv3 = _Linear1x1(middle, c_out) if instance else _ConvBN(middle, c_out, relu=False)
        self.downsample = _ConvBN(c_in, c_out, relu=False) if c_in != c_out else None
        self.IN = _instance_norm(c_out) if instance else None

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.conv1(x)
        residual = self.conv3(torch.stack([self.gate(stream(squeezed)) for stream in self.conv2]).sum(0))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu((residual if self.IN is None else self.IN(residual)) + shortcut)


def _transition(channels: int) -> nn.Sequential:
    return nn.Sequential(_ConvBN(channels, channels), nn.AvgPool2d(2))


def _stage(c_in: int, c_out: int, *, transition: bool, ibn: bool = False) -> nn.Sequential:
    stage = nn.Sequential(OSBlock(c_in, c_out, ibn=ibn), OSBlock(c_out, c_out, ibn=ibn))
    if transition:
        stage.append(_transition(c_out))
    return stage


def _searched_stage(number: int, c_in: int, c_out: int) -> nn.Sequential:
    first, second = _SEARCHED[number]
    return nn.Sequential(AINBlock(c_in, c_out, instance=first), AINBlock(c_out, c_out, instance=second))


class OSNetBackbone(nn.Sequential):
    """The convolutions of OSNet: images ``(b, 3, h, w)`` → map ``(b, 512·width, h/16, w/16)``."""

    def __init__(self, *, width: float = 1.0, normalization: Normalization = "batch") -> None:
        super().__init__()
        stem, *stages = (int(width * c) for c in WIDTHS)
        self.conv1 = _ConvBN(3, stem, 7, stride=2, instance=normalization != "batch")
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        if normalization == "ain":
            self.conv2 = _searched_stage(0, stem, stages[0])
            self.pool2 = _transition(stages[0])
            self.conv3 = _searched_stage(1, stages[0], stages[1])
            self.pool3 = _transition(stages[1])
            self.conv4 = _searched_stage(2, stages[1], stages[2])
        else:
            self.conv2 = _stage(stem, stages[0], transition=True, ibn=normalization == "ibn")
            self.conv3 = _stage(stages[0], stages[1], transition=True)
            self.conv4 = _stage(stages[1], stages[2], transition=False)
        self.conv5 = _ConvBN(stages[2], stages[2])
        self.channels = stages[2]
