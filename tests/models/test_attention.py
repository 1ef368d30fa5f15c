"""Attention: golden counts, and each mechanism against its formula written with loops."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from passerby.errors import ShapeError, UnknownNameError
from passerby.models.attention import attention_factory
from passerby.models.attention.bam import BAM
from passerby.models.attention.cwa import CWA, ChannelScore
from passerby.models.attention.eca import ECA, adaptive_width
from passerby.models.attention.sp import SP, SpatialScore

CHANNELS = (256, 512, 1024, 2048)
COUNTS = {
    "cwa_mul": (8_496, 33_376, 132_288, 526_720),
    "cwa_add": (8_496, 33_376, 132_288, 526_720),
    "sp": (8_865, 35_137, 139_905, 558_337),
    "bam": (17_361, 68_513, 272_193, 1_085_057),
    "eca": (5, 5, 5, 7),
}


def randomised(module: nn.Module) -> nn.Module:
    """Return the module in float64 and evaluation mode with all parameters and statistics random, so that all count."""
    generator = torch.Generator().manual_seed(3)
    module = module.double().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) - 0.4)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                assert layer.running_var is not None
                layer.running_var.abs_().add_(0.5)
    return module


def maps(channels: int = 32, *, b: int = 2, h: int = 7, w: int = 5) -> Tensor:
    return torch.randn(b, channels, h, w, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def normalized(value: float, bn: nn.BatchNorm1d | nn.BatchNorm2d, i: int) -> float:
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight[i].item() / math.sqrt(bn.running_var[i].item() + bn.eps)
    return (value - bn.running_mean[i].item()) * scale + bn.bias[i].item()


def channel_averages(image: Tensor) -> list[float]:
    return [sum(channel.flatten().tolist()) / channel.numel() for channel in image]


def linear(layer: nn.Linear, x: list[float]) -> list[float]:
    rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    return [sum(a * b for a, b in zip(row, x, strict=True)) + bias for row, bias in rows]


def literal_channel_scores(module: ChannelScore, image: Tensor) -> list[float]:
    """Return Eq 1 to 3 of AaP-ReID up to the sigmoid, for one image ``(c, h, w)``."""
    reduced = linear(module.reduce, channel_averages(image))
    hidden = [max(0.0, normalized(value, module.norm, i)) for i, value in enumerate(reduced)]
    return linear(module.expand, hidden)


def literal_conv(conv: nn.Conv2d, image: Tensor, *, dilation: int) -> Tensor:
    """Return a zero-padded convolution of the same size: every output is a sum over the taps that fall inside."""
    assert conv.bias is not None
    kernel = conv.weight.shape[-1]
    _, height, width = image.shape
    out = conv.bias.detach()[:, None, None].repeat(1, height, width)
    for y in range(height):
        for x in range(width):
            for i in range(kernel):
                for j in range(kernel):
                    v, u = y + (i - kernel // 2) * dilation, x + (j - kernel // 2) * dilation
                    if 0 <= v < height and 0 <= u < width:
                        out[:, y, x] += conv.weight[:, :, i, j].detach() @ image[:, v, u]
    return out


def literal_spatial_scores(module: SpatialScore, image: Tensor) -> Tensor:
    """Return a 1×1, two 3×3 of dilation 4, each with BN and ReLU, and a 1×1 to one channel; ``(h, w)``."""
    conv1, bn1, _, conv2, bn2, _, conv3, bn3, _, conv4 = module
    x = image
    for conv, bn, dilation in ((conv1, bn1, 1), (conv2, bn2, 4), (conv3, bn3, 4)):
        x = literal_conv(conv, x, dilation=dilation)
        x = torch.stack([(row - bn.running_mean[i]) for i, row in enumerate(x)])
        x = x / (bn.running_var + bn.eps).sqrt()[:, None, None]
        x = (x * bn.weight[:, None, None] + bn.bias[:, None, None]).detach()
        x = torch.where(x > 0, x, torch.zeros_like(x))
    return literal_conv(conv4, x, dilation=1)[0]


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name: str) -> None:
    factory = attention_factory(name)
    assert factory is not None
    counts = tuple(sum(p.numel() for p in factory(c).parameters()) for c in CHANNELS)
    assert counts == COUNTS[name]


@pytest.mark.parametrize("mode", ["mul", "add"])
def test_cwa_is_the_literal_formula(mode: str) -> None:
    module = randomised(CWA(32, mode=mode))
    assert isinstance(module, CWA)
    x = maps()
    expected = x.clone()
    for image in expected:
        for c, score in enumerate(literal_channel_scores(module.score, image)):
            image[c] = image[c] * sigmoid(score) if mode == "mul" else image[c] + sigmoid(score)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("mode", "train"), [("mul", True), ("add", True), ("mul", False)])
def test_cwa_gradients(mode: str, train: bool) -> None:
    module = randomised(CWA(32, mode=mode)).train(train)
    parameters = tuple(module.parameters())
    x = maps(b=3, h=2, w=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps, *_: module(maps), (x, *parameters))


@pytest.mark.parametrize(("channels", "k"), [(32, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_eca_width_adapts_to_the_channels(channels: int, k: int) -> None:
    assert adaptive_width(channels) == k
    assert ECA(channels).conv.weight.shape == (1, 1, k)


def test_eca_is_the_literal_formula() -> None:
    module = randomised(ECA(32))
    assert isinstance(module, ECA)
    kernel = module.conv.weight.flatten().tolist()
    x = maps()
    expected = x.clone()
    for image in expected:
        padded = [0.0, *channel_averages(image), 0.0]  # k = 3
        for c in range(32):
            image[c] *= sigmoid(sum(weight * padded[c + i] for i, weight in enumerate(kernel)))
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_sp_is_the_literal_formula() -> None:
    module = randomised(SP(32))
    assert isinstance(module, SP)
    x = maps()
    expected = torch.stack([image * torch.sigmoid(literal_spatial_scores(module.score, image)) for image in x])
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_bam_is_the_literal_formula() -> None:
    module = randomised(BAM(32))
    assert isinstance(module, BAM)
    x = maps()
    expected = x.clone()
    for image in expected:
        spatial = literal_spatial_scores(module.spatial, image)
        channel = literal_channel_scores(module.channel, image)
        for c in range(32):
            image[c] *= 1 + torch.sigmoid(channel[c] + spatial)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cls", [CWA, BAM])
def test_a_training_batch_of_one_image_raises(cls: type[CWA] | type[BAM]) -> None:
    module = cls(32).double()
    with pytest.raises(ShapeError, match=r"1 image in training mode.*2 or more.*eval\(\)"):
        module(maps(b=1))
    assert module.eval()(maps(b=1)).shape == (1, 32, 7, 5)


def test_factories_by_name() -> None:
    assert attention_factory("none") is None
    with pytest.raises(UnknownNameError, match="cwa_mul"):
        attention_factory("cwa_mull")


def test_an_unknown_mode_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside the test suite
    with pytest.raises(UnknownNameError, match=r"unknown CWA mode 'mult'\. Did you mean mul"):
        CWA(32, mode="mult")
