"""ResNet (He et al., CVPR 2016) as a re-identification backbone, with torchvision's state-dict keys and no ``fc``.

Deviations: a bottleneck's stride is on its 3×3 convolution (common practice since 2017, also in
torchvision); ``last_stride`` acts on layer 4; an attention module may act on a block's output
channels after its last BN (``post_bn``) or before it (``pre_bn``), in both cases before the
residual sum.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import UnknownNameError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones.registry import BACKBONES, AttentionPosition, Backbone

DEPTHS = {
    18: (2, 2, 2, 2),
    26: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""The number of blocks of each stage: basic in 18 and 34, else bottlenecks. No paper has 26, the shortest of these."""
_BASIC = (18, 34)
_HALF = (18, 26)
"""The depths that also exist with half the channels (``_half``): small enough to train on a few CPU cores."""
_STAGE_WIDTHS = (64, 128, 256, 512)


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)


class _Block(nn.Module):
    """A base of both kinds of block: a residual path with optional attention at its last BN, and the residual sum."""

    expansion: int

    def __init__(self, c_in: int, c_out: int, *, stride: int, attention: nn.Module | None, pre_bn: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.attention = attention
        self.pre_bn = pre_bn
        self.downsample = (
            nn.Sequential(_conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))
            if stride != 1 or c_in != c_out
            else None
        )

    def _close(self, x: Tensor, y: Tensor, last_bn: nn.BatchNorm2d) -> Tensor:
        if self.attention is not None and self.pre_bn:
            y = self.attention(y)
        y = last_bn(y)
        if self.attention is not None and not self.pre_bn:
            y = self.attention(y)
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y + shortcut)
        return out


class BasicBlock(_Block):
    """The block of ResNet-18 and -34: 3×3 → 3×3."""

    expansion = 1

    def __init__(self, c_in: int, width: int, *, stride: int, attention: nn.Module | None, pre_bn: bool) -> None:
        super().__init__(c_in, width, stride=stride, attention=attention, pre_bn=pre_bn)
        self.conv1 = _conv(c_in, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self._close(x, self.conv2(y), self.bn2)


class Bottleneck(_Block):
    """The block of ResNet-50 and deeper: 1×1 → 3×3 → 1×1 to four times the width."""

    expansion = 4

    def __init__(self, c_in: int, width: int, *, stride: int, attention: nn.Module | None, pre_bn: bool) -> None:
        c_out = width * self.expansion
        super().__init__(c_in, c_out, stride=stride, attention=attention, pre_bn=pre_bn)
        self.conv1 = _conv(c_in, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, c_out, 1)
        self.bn3 = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self._close(x, self.conv3(y), self.bn3)


class ResNet(Backbone):
    """A ResNet: images ``(b, 3, h, w)`` → map ``(b, channels, h/32, w/32)`` (``h/16`` with ``last_stride=1``).

    Args:
        depth: 18, 34 (512 channels), 26, 50, 101 or 152 (2048).
        width: factor on the number of channels of every layer.
        attention: builds a module for a number of channels; every block of ``attention_stages`` gets one.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: float = 1.0,
        last_stride: int = 2,
        attention: AttentionFactory | None = None,
        attention_stages: tuple[int, ...] = (3, 4),
        attention_position: AttentionPosition = "post_bn",
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise UnknownNameError("ResNet depth", str(depth), map(str, DEPTHS))
        block = BasicBlock if depth in _BASIC else Bottleneck
        widths = [round(width * channels) for channels in _STAGE_WIDTHS]
        c_in = widths[0]
        self.conv1 = nn.Conv2d(3, c_in, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(c_in)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, (c_mid, blocks) in enumerate(zip(widths, DEPTHS[depth], strict=True), start=1):
            first_stride = {1: 1, 4: last_stride}.get(stage, 2)
            c_out = c_mid * block.expansion
            layer = nn.Sequential()
            for i in range(blocks):
                attended = attention(c_out) if attention is not None and stage in attention_stages else None
                stride = first_stride if i == 0 else 1
                pre_bn = attention_position == "pre_bn"
                layer.append(block(c_in, c_mid, stride=stride, attention=attended, pre_bn=pre_bn))
                c_in = c_out
            self.add_module(f"layer{stage}", layer)
        self.channels = c_in
        self._initialize()

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The four layers by name; the output of the last one is the backbone's."""
        return {f"layer{stage}": getattr(self, f"layer{stage}") for stage in range(1, 5)}

    def _initialize(self) -> None:
        """Initialize convolutions outside attention with Kaiming normal (fan out); BN starts at 1 and 0 by default."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and ".attention." not in name:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c y x"]:
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x


for _depth in DEPTHS:
    BACKBONES.register(f"resnet{_depth}")(partial(ResNet, _depth))
for _depth in _HALF:
    BACKBONES.register(f"resnet{_depth}_half")(partial(ResNet, _depth, width=0.5))
