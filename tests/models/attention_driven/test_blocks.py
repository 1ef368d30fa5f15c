"""Residual units and intra-attention against literal formulas in float64 (Eq 3–7)."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from passerby.errors import UnknownNameError
from passerby.models.attention_driven.blocks import (
    AttentionBlock,
    EncoderDecoder,
    IntraAttention,
    Mask,
    ResidualUnit,
    Stage,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(module: nn.Module) -> nn.Module:
    """Return the module in evaluation mode with all parameters random, so that none is hidden by a 0 or a 1."""
    generator = torch.Generator().manual_seed(5)
    module.double().eval()
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            random = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            value.copy_(random + 0.5 if name.endswith("running_var") else random - 0.5)
    return module


def literal_conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return the convolution of one image ``(c, h, w)``, position by position."""
    k, stride, pad = conv.kernel_size[0], conv.stride[0], conv.kernel_size[0] // 2
    c, h, w = x.shape
    padded = torch.zeros(c, h + 2 * pad, w + 2 * pad, dtype=x.dtype)
    padded[:, pad : pad + h, pad : pad + w] = x
    rows, columns = range(0, h, stride), range(0, w, stride)
    out = torch.zeros(conv.out_channels, len(rows), len(columns), dtype=x.dtype)
    for i, y in enumerate(rows):
        for j, z in enumerate(columns):
            window = padded[:, y : y + k, z : z + k]
            out[:, i, j] = (conv.weight * window).sum(dim=(1, 2, 3))
            if conv.bias is not None:
                out[:, i, j] += conv.bias
    return out


def literal_norm(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    mean, var, weight, bias = (t[:, None, None] for t in (bn.running_mean, bn.running_var, bn.weight, bn.bias))  # type: ignore[index]
    return (x - mean) / (var + bn.eps).sqrt() * weight + bias


def literal_unit(x: Tensor, unit: ResidualUnit, stride: int) -> Tensor:
    y = literal_norm(literal_conv(x, unit.conv1), unit.bn1).clamp_min(0)
    y = literal_norm(literal_conv(y, unit.conv2), unit.bn2).clamp_min(0)
    y = literal_norm(literal_conv(y, unit.conv3), unit.bn3)
    for channel in range(len(x)):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                y[channel, i, j] += x[channel, i * stride, j * stride]
    return y.clamp_min(0)


def literal_pool(x: Tensor) -> Tensor:
    h, w = math.ceil(x.shape[1] / 2), math.ceil(x.shape[2] / 2)
    rows = [[x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax(dim=(1, 2)) for j in range(w)] for i in range(h)]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def literal_up(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the map enlarged bilinearly between pixel centers, with the edge repeated."""

    def places(new: int, old: int) -> list[tuple[int, int, float]]:
        centers = [max((i + 0.5) * old / new - 0.5, 0) for i in range(new)]
        return [(int(c), min(int(c) + 1, old - 1), c - int(c)) for c in centers]

    out = torch.zeros(len(x), *size, dtype=x.dtype)
    for i, (top, bottom, a) in enumerate(places(size[0], x.shape[1])):
        for j, (left, right, b) in enumerate(places(size[1], x.shape[2])):
            upper = x[:, top, left] * (1 - b) + x[:, top, right] * b
            lower = x[:, bottom, left] * (1 - b) + x[:, bottom, right] * b
            out[:, i, j] = upper * (1 - a) + lower * a
    return out


def literal_score(v: Tensor, path: EncoderDecoder, stride: int) -> Tensor:
    entry = literal_unit(v, path.entry, stride)
    if len(path.levels) == 1:
        first, second = path.levels[0]
        low = literal_unit(literal_unit(literal_pool(entry), first, 1), second, 1)
        return entry + literal_up(low, entry.shape[1:])
    (a, b), (c, d) = path.levels
    half = literal_unit(literal_unit(literal_pool(entry), a, 1), b, 1)
    quarter = literal_unit(literal_unit(literal_pool(half), c, 1), d, 1)
    return entry + literal_up(half + literal_up(quarter, half.shape[1:]), entry.shape[1:])


def literal_scale(x: Tensor) -> Tensor:
    """Return the values with mean 0 and variance 1."""
    mean = sum(x.flatten().tolist()) / x.numel()
    variance = sum((value - mean) ** 2 for value in x.flatten().tolist()) / x.numel()
    return (x - mean) / math.sqrt(variance + 1e-5)


def literal_mask(v: Tensor, attention: IntraAttention, stride: int) -> Tensor:
    A = literal_score(v, attention.score, stride)
    S = literal_conv(A, attention.spatial)
    assert attention.channel is not None
    C = attention.channel.weight[:, :, 0, 0] @ A.mean(dim=(1, 2)) + attention.channel.bias
    if attention.normalized:
        S, C = literal_scale(S), literal_scale(C)
    product = torch.zeros_like(A)
    for c in range(len(A)):
        product[c] = S[0] * C[c]
    return 1 / (1 + (-literal_conv(product, attention.mix)).exp())


@pytest.mark.parametrize(("stride", "early"), [(1, False), (2, False), (2, True)])
def test_a_unit_is_the_literal_formula(stride: int, early: bool) -> None:
    unit = seeded(ResidualUnit(3, 8, width=4, stride=stride, early=early))
    x = randn(2, 3, 7, 5)
    for got, one in zip(unit(x), x, strict=True):
        assert torch.allclose(got, literal_unit(one, unit, stride), atol=1e-10)


def test_a_shortcut_has_no_parameters_and_passes_its_input() -> None:
    unit = ResidualUnit(3, 8, width=4, stride=2).double().eval()
    nn.init.zeros_(unit.bn3.weight)
    x = randn(1, 3, 6, 4).abs()
    assert torch.equal(unit(x)[:, :3], x[:, :, ::2, ::2])
    assert not unit(x)[:, 3:].any()
    assert {name.split(".")[0] for name, _ in unit.named_parameters()} == {
        "conv1",
        "bn1",
        "conv2",
        "bn2",
        "conv3",
        "bn3",
    }


def test_eq_3_stacks_three_units_and_strides_once() -> None:
    module = seeded(Stage(4, 8, stride=2))
    x = randn(1, 4, 7, 5)
    y = x[0]
    for unit, stride in zip(module, (2, 1, 1), strict=True):  # type: ignore[arg-type]
        y = literal_unit(y, unit, stride)
    assert torch.allclose(module(x)[0], y, atol=1e-9)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize(("levels", "stride"), [(2, 2), (1, 2), (1, 1)])
def test_eq_4_and_6_are_the_literal_formulas(levels: int, stride: int, normalized: bool) -> None:
    attention = seeded(IntraAttention(4, 8, stride=stride, levels=levels, normalized=normalized))
    v = randn(2, 4, 11, 6)
    for got, one in zip(attention(v), v, strict=True):
        assert torch.allclose(got, literal_mask(one, attention, stride), atol=1e-9)


@pytest.mark.parametrize("normalized", [True, False])
def test_without_decomposition_one_convolution_replaces_both(normalized: bool) -> None:
    attention = seeded(IntraAttention(4, 8, stride=1, levels=1, decomposed=False, normalized=normalized))
    v = randn(1, 4, 5, 4)
    joint = literal_conv(literal_score(v[0], attention.score, 1), attention.spatial)
    if normalized:
        joint = literal_scale(joint)
    assert joint.shape[0] == 8
    assert torch.allclose(attention(v)[0], 1 / (1 + (-literal_conv(joint, attention.mix)).exp()), atol=1e-9)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize(("mask", "rest"), [("residual", 1.0), ("plain", 0.0)])
def test_eq_7_adds_the_features_that_eq_5_masks(mask: str, rest: float, normalized: bool) -> None:
    block = seeded(AttentionBlock(4, 8, stride=2, levels=1, mask=mask, normalized=normalized))
    v = randn(1, 4, 6, 6)
    a, m = block.features(v), literal_mask(v[0], block.attention, 2)
    output = block(v)
    assert torch.allclose(output.mask[0], m, atol=1e-9)
    for c in range(8):
        assert torch.allclose(output.features[0, c], (rest + m[c]) * a[0, c], atol=1e-9)


@pytest.mark.parametrize("decomposed", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_scale_of_spatial_and_channel_attention_does_not_reach_the_masks(decomposed: bool, training: bool) -> None:
    """Nothing but the last convolution can drive masks to 0 and 1."""
    attention = seeded(IntraAttention(4, 8, stride=1, levels=1, decomposed=decomposed)).train(training)
    v = randn(6, 4, 8, 8)
    before = attention(v)
    for conv in (attention.spatial, attention.channel):
        if conv is not None:
            conv.weight.data *= 1000
            conv.bias.data *= 1000
    assert torch.allclose(attention(v), before, atol=1e-3)


def test_normalization_adds_nothing_to_the_state() -> None:
    normalized, literal = (IntraAttention(4, 8, stride=1, levels=1, normalized=on) for on in (True, False))
    assert list(normalized.state_dict()) == list(literal.state_dict())


@pytest.mark.parametrize("mask", ["residual", "plain"])
def test_a_closed_gate_passes_on_what_the_block_without_attention_does(mask: Mask) -> None:
    block, base = (seeded(AttentionBlock(4, 8, stride=2, levels=levels, mask=mask)) for levels in (1, 0))
    base.features.load_state_dict(block.features.state_dict())
    nn.init.zeros_(block.attention.mix.weight)
    nn.init.zeros_(block.attention.mix.bias)
    v = randn(2, 4, 12, 6)
    assert torch.allclose(block(v).features, base(v).features, atol=1e-12)


def test_a_block_without_levels_is_its_features() -> None:
    block = seeded(AttentionBlock(4, 8, stride=1, levels=0))
    v = randn(1, 4, 6, 6)
    assert block(v).mask is None
    assert torch.equal(block(v).features, block.features(v))


def test_a_map_of_one_position_has_attention_too() -> None:
    assert seeded(IntraAttention(4, 8, stride=1, levels=2))(randn(1, 4, 1, 1)).shape == (1, 8, 1, 1)


def test_gradients() -> None:
    block = seeded(AttentionBlock(2, 4, stride=2, levels=1))
    assert torch.autograd.gradcheck(lambda v: block(v).features, randn(1, 2, 4, 4, seed=3).requires_grad_())


def test_an_unknown_mask_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside the test suite
    with pytest.raises(UnknownNameError, match="Did you mean plain"):
        AttentionBlock(4, 8, stride=1, levels=1, mask="plane")  # type: ignore[arg-type]
