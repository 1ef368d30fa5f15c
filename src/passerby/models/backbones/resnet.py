"""ResNet (He et al., CVPR 2016) as a re-identification backbone, with torchvision's state-dict keys and no ``fc``.

Deviations: a bottleneck's stride is on its 3×3 convolution (common practice since 2017, also in
torchvision); ``last_stride`` acts on layer 4; an attention module may act on a block's output
channels after its last BN (``post_bn``) or before it (``pre_bn``), in both cases before the
residual sum.

Variants: IBN-a (Pan et al., ECCV 2018) instance-normalizes half the channels behind the first convolution of the
blocks of layers 1 to 3; non-local blocks (Wang et al., CVPR 2018) follow the last blocks of layers 2 and 3, as in
fast-reid. The stem's ReLU and the border of its max pooling differ between programs whose files have the same keys.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import UnknownNameError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones.ibn import IBN
from passerby.models.backbones.non_local import NonLocal
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
_IBN = (18, 34, 50, 101)
"""The depths of which IBN-a exists (``_ibn_a``)."""
_NON_LOCAL = {50: {2: 2, 3: 3}, 101: {2: 2, 3: 9}}
"""The number of non-local blocks of each stage, by depth; each follows one of the stage's last blocks."""
Stem = Literal["padded", "unpadded", "linear"]
"""The stem behind its convolution and BN.

``padded``: ReLU, then a max pooling whose border is padded, as in torchvision; ``unpadded``: ReLU, then one whose
windows begin at the first pixel and reach beyond the last, as in fast-reid; ``linear``: no ReLU, as in the code of the
bag of tricks' authors.
"""


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

    def __init__(
        self, c_in: int, width: int, *, stride: int, attention: nn.Module | None, pre_bn: bool, ibn: bool = False
    ) -> None:
        super().__init__(c_in, width, stride=stride, attention=attention, pre_bn=pre_bn)
        self.conv1 = _conv(c_in, width, 3, stride)
        self.bn1 = IBN(width) if ibn else nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self._close(x, self.conv2(y), self.bn2)


class Bottleneck(_Block):
    """The block of ResNet-50 and deeper: 1×1 → 3×3 → 1×1 to four times the width."""

    expansion = 4

    def __init__(
        self, c_in: int, width: int, *, stride: int, attention: nn.Module | None, pre_bn: bool, ibn: bool = False
    ) -> None:
        c_out = width * self.expansion
        super().__init__(c_in, c_out, stride=stride, attention=attention, pre_bn=pre_bn)
        self.conv1 = _conv(c_in, width, 1)
        self.bn1 = IBN(width) if ibn else nn.BatchNorm2d(width)
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
        ibn: whether the first BN of the blocks of layers 1 to 3 is IBN-a's.
        stem: what follows the first BN (:data:`Stem`).
        non_local: whether non-local blocks follow the last blocks of layers 2 and 3; of depths 50 and 101.
    """

    added = ("attention", "NL_2", "NL_3")

    def __init__(
        self,
        depth: int,
        *,
        width: float = 1.0,
        last_stride: int = 2,
        attention: AttentionFactory | None = None,
        attention_stages: tuple[int, ...] = (3, 4),
        attention_position: AttentionPosition = "post_bn",
        ibn: bool = False,
        stem: Stem = "padded",
        non_local: bool = False,
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise UnknownNameError("ResNet depth", str(depth), map(str, DEPTHS))
        if stem not in get_args(Stem):
            raise UnknownNameError("stem", str(stem), get_args(Stem))
        block = BasicBlock if depth in _BASIC else Bottleneck
        widths = [round(width * channels) for channels in _STAGE_WIDTHS]
        c_in = widths[0]
        self.conv1 = nn.Conv2d(3, c_in, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(c_in)
        self.relu: nn.Module = nn.Identity() if stem == "linear" else nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True) if stem == "unpadded" else nn.MaxPool2d(3, 2, 1)
        for stage, (c_mid, blocks) in enumerate(zip(widths, DEPTHS[depth], strict=True), start=1):
            first_stride = {1: 1, 4: last_stride}.get(stage, 2)
            c_out = c_mid * block.expansion
            layer = nn.Sequential()
            for i in range(blocks):
                attended = attention(c_out) if attention is not None and stage in attention_stages else None
                stride = first_stride if i == 0 else 1
                pre_bn = attention_position == "pre_bn"
                instance = ibn and stage < 4
                layer.append(block(c_in, c_mid, stride=stride, attention=attended, pre_bn=pre_bn, ibn=instance))
                c_in = c_out
            self.add_module(f"layer{stage}", layer)
        self.channels = c_in
        self._initialize()
        if non_local:
            self._add_non_local(depth, [c_mid * block.expansion for c_mid in widths])

    def _add_non_local(self, depth: int, channels: list[int]) -> None:
        if depth not in _NON_LOCAL:
            raise UnknownNameError("depth of a ResNet with non-local blocks", str(depth), map(str, _NON_LOCAL))
        for stage, count in _NON_LOCAL[depth].items():
            self.add_module(f"NL_{stage}", nn.ModuleList(NonLocal(channels[stage - 1]) for _ in range(count)))

    def _non_local(self, stage: int) -> list[nn.Module]:
        return list(getattr(self, f"NL_{stage}", ()))

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The modules that end the four layers, by layer; the output of the last one is the backbone's."""
        return {
            f"layer{stage}": next(reversed(self._non_local(stage)), getattr(self, f"layer{stage}"))
            for stage in range(1, 5)
        }

    def _initialize(self) -> None:
        """Initialize convolutions outside attention with Kaiming normal (fan out); BN starts at 1 and 0 by default."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and ".attention." not in name:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c y x"]:
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            x = self._run_stage(stage, x)
        return x

    def _run_stage(self, stage: int, x: Tensor) -> Tensor:
        layer, after = getattr(self, f"layer{stage}"), self._non_local(stage)
        if not after:
            y: Tensor = layer(x)
            return y
        for place, block in enumerate(layer, start=len(after) - len(layer)):
            x = block(x)
            if place >= 0:
                x = after[place](x)
        return x


for _depth in DEPTHS:
    BACKBONES.register(f"resnet{_depth}")(partial(ResNet, _depth))
for _depth in _HALF:
    BACKBONES.register(f"resnet{_depth}_half")(partial(ResNet, _depth, width=0.5))
for _depth in _IBN:
    BACKBONES.register(f"resnet{_depth}_ibn_a")(partial(ResNet, _depth, ibn=True))
