"""The blocks of the branches of :mod:`passerby.models.attention_driven.model`: residual units and intra-attention.

Equations of Yang et al. (Attention Driven Person Re-identification, Pattern Recognition 2019), §3.3:

- Eq 3, a = F(v): :class:`Stage`, three bottleneck units;
- Eq 4, m = M(v): :class:`IntraAttention`; its score A is computed by :class:`EncoderDecoder`;
- Eq 6, S = f(A, W): ``IntraAttention.spatial``; beside it ``channel`` makes C, and m = σ(conv(S·C));
- Eq 5, m ⊗ a, and Eq 7, (1 + m) ⊗ a: :class:`AttentionBlock`.

*Deviations*: the figure of the attention path is lost. This one consists of bottlenecks of width c/4: one that
strides (in its first convolution) before the first pooling, and two after each pooling. It adds the paper's 3.6 million
weights and 0.43 billion multiply-adds to its base network. Up-sampling is bilinear (the paper names none). Without
decomposition (its Table 8, which says no more) one 3×3 convolution c → c replaces S·C.

† The paper prints neither a normalization of S and C nor an initialization. A is a sum that nothing bounds, and S·C is
quadratic in it: with the bare convolutions of Eq 6 nearly half of all mask values lie outside [0.1, 0.9] before the
first step, and more after training, where the masks hardly depend on the image any more. Therefore, by default:

- S is normalized over the positions of an image and C over its channels, to mean 0 and variance 1: no parameters, and
  the same in training and evaluation;
- the last convolution starts at a quarter of PyTorch's default weights and a bias of 0: all masks start near ½,
  where a sigmoid is steepest;
- a block with attention divides its a by the weight that a mask of ½ gives it (1.5 in Eq 7, ½ in Eq 5): what it passes
  on starts near what the block of the base network does, so that it can take over the weights of one.

``normalized=False`` is the literal form, with PyTorch's initialization.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.errors import UnknownNameError
from passerby.models.pointwise import PointwiseConv

Mask = Literal["residual", "plain"]
EPSILON = 1e-5
"""The addend that keeps the variance of constant values above 0."""
UNITS = 3
"""The number of units in every stage of the base network."""
NEUTRAL = 0.5
"""The value † at which a normalized mask leaves features as they are: the one at which all start."""
LEVELS = (0, 2, 1, 1)
"""The numbers of max-poolings of the attention path in blocks 1–4; 0 means no attention."""


class ResidualUnit(nn.Module):
    """A bottleneck 1×1 → 3×3 → 1×1 with a parameter-free shortcut: subsampled, with zeros for new channels.

    Args:
        stride: stride of the 3×3, or of the first 1×1 with ``early``.
    """

    def __init__(self, c_in: int, c_out: int, *, width: int, stride: int = 1, early: bool = False) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, c_out - c_in
        first, second = (stride, 1) if early else (1, stride)
        self.conv1 = PointwiseConv(c_in, width, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)

    def shortcut(self, x: Float[Tensor, "b m y x"]) -> Float[Tensor, "b c h w"]:
        """Return the input, subsampled and padded with zero channels."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def forward(self, x: Float[Tensor, "b m y x"]) -> Float[Tensor, "b c h w"]:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class Stage(nn.Sequential):
    """The features F of Eq 3: three units, the first of which strides; their inner width is half the output (Table 1).

    Args:
        scale: constant factor on the output.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, scale: float = 1.0) -> None:
        first = ResidualUnit(c_in, c_out, width=c_out // 2, stride=stride)
        super().__init__(first, *(ResidualUnit(c_out, c_out, width=c_out // 2) for _ in range(UNITS - 1)))
        self.scale = scale

    def forward(self, v: Float[Tensor, "b m y x"]) -> Float[Tensor, "b c h w"]:
        for unit in self:
            v = unit(v)
        return v if self.scale == 1 else self.scale * v


class EncoderDecoder(nn.Module):
    """The score A: one unit; each level then halves the map and has two units; then up again, adding skipped maps."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, levels: int) -> None:
        super().__init__()
        width = c_out // 4
        self.entry = ResidualUnit(c_in, c_out, width=width, stride=stride, early=True)
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualUnit(c_out, c_out, width=width) for _ in range(2))) for _ in range(levels)
        )

    def forward(self, v: Float[Tensor, "b m y x"]) -> Float[Tensor, "b c h w"]:
        scales = [self.entry(v)]
        for level in self.levels:
            scales.append(level(F.max_pool2d(scales[-1], 2, ceil_mode=True)))
        score: Tensor = scales.pop()
        for skipped in reversed(scales):
            score = skipped + F.interpolate(score, skipped.shape[2:], mode="bilinear", align_corners=False)
        return score


class IntraAttention(nn.Module):
    """The mask M of Eq 4: a score in (0, 1) for each channel of each position.

    Args:
        decomposed: S, one value per position (Eq 6), times C, one value per channel; else one convolution gives all.
        normalized: normalize S and C before their product (without decomposition, the values of an image), and start
            with masks near ½.
    """

    def __init__(
        self, c_in: int, c_out: int, *, stride: int, levels: int, decomposed: bool = True, normalized: bool = True
    ) -> None:
        super().__init__()
        self.score = EncoderDecoder(c_in, c_out, stride=stride, levels=levels)
        self.spatial = nn.Conv2d(c_out, 1 if decomposed else c_out, 3, padding=1)
        self.channel = nn.Conv2d(c_out, c_out, 1) if decomposed else None
        self.mix = nn.Conv2d(c_out, c_out, 1)
        self.normalized = normalized
        if normalized:
            with torch.no_grad():
                self.mix.weight.mul_(0.25)
            nn.init.zeros_(cast(Tensor, self.mix.bias))

    def forward(self, v: Float[Tensor, "b m y x"]) -> Float[Tensor, "b c h w"]:
        A = self.score(v)
        joint = self._scaled(self.spatial(A))  # S, Eq 6
        if self.channel is not None:
            joint = joint * self._scaled(self.channel(A.mean(dim=(2, 3), keepdim=True)))  # S · C
        return torch.sigmoid(self.mix(joint))

    def _scaled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the values of each image with mean 0 and variance 1; all 0 if they are equal."""
        if not self.normalized:
            return x
        centered = x - x.mean(dim=(1, 2, 3), keepdim=True)
        return centered * (centered.square().mean(dim=(1, 2, 3), keepdim=True) + EPSILON).rsqrt()


class BlockOutput(NamedTuple):
    """The output of a block, and the mask that it applied."""

    features: Tensor
    """The input v of the next block, ``(b, c, h, w)``."""
    mask: Tensor | None
    """The mask m, ``(b, c, h, w)``; ``None`` in a block without attention."""


class AttentionBlock(nn.Module):
    """A stage of a branch, with its attention path if ``levels`` is above 0.

    Args:
        mask: ``residual`` is Eq 7, ``plain`` is Eq 5.
        normalized: as of :class:`IntraAttention`; also let masks of ½ leave the features as they are.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        levels: int,
        decomposed: bool = True,
        mask: Mask = "residual",
        normalized: bool = True,
    ) -> None:
        super().__init__()
        if mask not in get_args(Mask):
            raise UnknownNameError("mask", mask, get_args(Mask))
        self.rest = 1.0 if mask == "residual" else 0.0
        scale = 1 / (self.rest + NEUTRAL) if levels and normalized else 1.0
        self.features = Stage(c_in, c_out, stride=stride, scale=scale)
        self.attention = (
            IntraAttention(c_in, c_out, stride=stride, levels=levels, decomposed=decomposed, normalized=normalized)
            if levels
            else None
        )

    def forward(self, v: Float[Tensor, "b m y x"]) -> BlockOutput:
        a = self.features(v)  # Eq 3
        if self.attention is None:
            return BlockOutput(a, None)
        m = self.attention(v)  # Eq 4
        return BlockOutput((self.rest + m) * a, m)  # Eq 7 (Eq 5)
