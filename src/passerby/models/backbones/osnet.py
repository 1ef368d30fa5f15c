"""The convolutional part of OSNet (Zhou et al., Omni-Scale Feature Learning, ICCV 2019), its Table 1.

A block (the paper's Fig 3b) runs four streams of 1, 2, 3 and 4 *Lite 3×3* convolutions (receptive
fields 3, 5, 7, 9), weighs the channels of each with one shared *aggregation gate* (Eq 2, reduction
16), sums them and adds the shortcut. Three stages of two blocks; a 1×1 convolution and a 2×2 average
pool lead from each to the next. State-dict keys are torchreid's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (64, 256, 384, 512)
"""The numbers of channels of the stem and the three stages at width 1.0."""
_GATE_REDUCTION = 16
_BOTTLENECK = 4


class _ConvBN(nn.Module):
    """A convolution (no bias) → BN [→ ReLU]."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
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
    """The omni-scale residual block."""

    def __init__(self, c_in: int, c_out: int) -> None:
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

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.conv1(x)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        gated = torch.stack([self.gate(stream(squeezed)) for stream in streams]).sum(0)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv3(gated) + shortcut)


def _stage(c_in: int, c_out: int, *, transition: bool) -> nn.Sequential:
    stage = nn.Sequential(OSBlock(c_in, c_out), OSBlock(c_out, c_out))
    if transition:
        stage.append(nn.Sequential(_ConvBN(c_out, c_out), nn.AvgPool2d(2)))
    return stage


class OSNetBackbone(nn.Sequential):
    """The convolutions of OSNet: images ``(b, 3, h, w)`` → map ``(b, 512·width, h/16, w/16)``."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        stem, *stages = (int(width * c) for c in WIDTHS)
        self.conv1 = _ConvBN(3, stem, 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = _stage(stem, stages[0], transition=True)
        self.conv3 = _stage(stages[0], stages[1], transition=True)
        self.conv4 = _stage(stages[1], stages[2], transition=False)
        self.conv5 = _ConvBN(stages[2], stages[2])
        self.channels = stages[2]
