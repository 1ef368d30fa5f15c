"""The 1×1 convolution with a stride: the same result, and never the layer that overwrites memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from passerby.models.attention_driven.model import AttentionDriven
from passerby.models.keypoints.network import PoseNetwork
from passerby.models.pointwise import FEW, PointwiseConv


@pytest.mark.parametrize("c_in", [1, 4, FEW - 1, FEW, 20])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_the_convolution(c_in: int, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = PointwiseConv(c_in, 6, stride).double()
    x = torch.randn(2, c_in, 7, 5, dtype=torch.float64)
    literal = torch.einsum("oc,bchw->bohw", layer.weight[:, :, 0, 0], x)[:, :, ::stride, ::stride]
    strides = []
    convolve = nn.functional.conv2d

    def seen(*arguments: object) -> torch.Tensor:
        strides.append(arguments[3] if len(arguments) > 3 else (1, 1))
        return convolve(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(nn.functional, "conv2d", seen)
    assert torch.allclose(layer(x), literal, atol=1e-12)
    assert strides == [(stride, stride) if c_in >= FEW else (1, 1)]


def test_no_network_with_few_channels_strides_in_another_layer() -> None:
    networks = [
        AttentionDriven(num_classes=2, width=0.125),
        PoseNetwork(size=(32, 16), width=2, bins=2),
    ]
    for network in networks:
        strided = [
            module
            for module in network.modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.stride != (1, 1)
        ]
        assert strided
        assert all(isinstance(module, PointwiseConv) for module in strided)
