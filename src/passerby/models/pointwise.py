"""The 1×1 convolution with a stride, which PyTorch's processor kernels compute wrongly where it has few channels."""

from __future__ import annotations

from torch import Tensor, nn

FEW = 8
"""The number of input channels below which memory is overwritten."""


class PointwiseConv(nn.Conv2d):
    """A 1×1 convolution without bias, whose stride is safe for any number of channels.

    In training, PyTorch 2.13 on a processor writes beyond its memory where such a layer strides, its input is
    channels-last and has fewer than 8 channels: the program dies at some later time, or goes on with other values.
    There the positions that the layer reads are taken first, which gives the same result.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1) or self.in_channels >= FEW:
            return super().forward(x)
        down, across = self.stride
        found: Tensor = nn.functional.conv2d(x[:, :, ::down, ::across], self.weight)
        return found
