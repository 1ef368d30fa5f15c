"""SE, self-attention and the network of both: golden counts, Eq 1–3 with loops, α = 0, the switches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from passerby.errors import ConfigError, ShapeError
from passerby.models.attention.se import SE
from passerby.models.attention.self_attention import SelfAttention
from passerby.models.dual_attention import DualAttention
from passerby.models.registry import create_model

MARKET, DUKE = 751, 702


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomised(module: nn.Module) -> nn.Module:
    """Return the module in float64 and evaluation mode; every parameter and statistic random, α too."""
    generator = torch.Generator().manual_seed(5)
    for tensor in [*module.double().parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) - 0.3)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_var is not None
            layer.running_var.abs_().add_(0.5)
    return module.eval()


def model(**options: object) -> DualAttention:
    torch.manual_seed(0)
    return DualAttention(num_classes=4, backbone="resnet18_half", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "market", "duke"),
    [
        ({"se": False, "self_attention": False}, 25_046_831, 24_946_430),
        ({"se": True, "self_attention": False}, 27_577_823, 27_477_422),
        ({"se": False, "self_attention": True}, 30_294_832, 30_194_431),
        ({}, 32_825_824, 32_725_423),
    ],
)
def test_parameters_of_table_2(options: dict[str, object], market: int, duke: int) -> None:
    with torch.device("meta"):
        counts = [create_model("dual_attention", num_classes=n, **options).parameter_count() for n in (MARKET, DUKE)]
    assert counts == [market, duke]


def test_parameters_of_each_attention() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in SelfAttention(2048).parameters()) == 5_248_001
        backbone = create_model("dual_attention", num_classes=1).backbone
        blocks = [m for m in backbone.modules() if isinstance(m, SE)]
    assert len(blocks) == 16
    assert sum(p.numel() for block in blocks for p in block.parameters()) == 2_530_992


def test_at_the_papers_size_attention_is_among_12_by_4_positions() -> None:
    with torch.device("meta"):
        net = create_model("dual_attention", num_classes=1).eval()
        maps = net.backbone(torch.zeros(1, 3, 384, 128))
        assert maps.shape == (1, 2048, 12, 4)
        assert net.self_attention.weights(maps).shape == (1, 48, 48)
        assert net.self_attention.query(maps).shape == net.self_attention.key(maps).shape == (1, 256, 12, 4)
        assert net.self_attention.value(maps).shape == (1, 2048, 12, 4)


def test_se_is_the_literal_formula() -> None:
    module = randomised(SE(32))
    x = randn(2, 32, 3, 5)
    expected = x.clone()
    for image in expected:
        squeezed = [sum(channel.flatten().tolist()) / 15 for channel in image]
        reduced = zip(module.reduce.weight.tolist(), module.reduce.bias.tolist(), strict=True)
        hidden = [max(0.0, sum(w * s for w, s in zip(row, squeezed, strict=True)) + b) for row, b in reduced]
        assert len(hidden) == 2
        expanded = zip(module.expand.weight.tolist(), module.expand.bias.tolist(), strict=True)
        for c, (row, b) in enumerate(expanded):
            image[c] *= 1 / (1 + math.exp(-sum(w * h for w, h in zip(row, hidden, strict=True)) - b))
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def literal_conv_bn(layers: nn.Sequential, image: Tensor) -> list[list[float]]:
    """Return ``[position][channel]`` of a 1×1 convolution and BN, positions in reading order."""
    conv, bn = layers
    assert conv.bias is None
    columns = image.flatten(1).T.tolist()
    rows = conv.weight[:, :, 0, 0].tolist()
    out = []
    for column in columns:
        values = [sum(w * v for w, v in zip(row, column, strict=True)) for row in rows]
        mean, var, gamma, beta = (t.tolist() for t in (bn.running_mean, bn.running_var, bn.weight, bn.bias))
        out.append([(v - mean[c]) / math.sqrt(var[c] + bn.eps) * gamma[c] + beta[c] for c, v in enumerate(values)])
    return out


def literal_gamma(module: SelfAttention, image: Tensor, scale: float) -> list[list[float]]:
    """Return Eq 2 as ``[j][i]``."""
    q, k = literal_conv_bn(module.query, image), literal_conv_bn(module.key, image)
    m = len(q)
    A = [[scale * sum(a * b for a, b in zip(q[i], k[j], strict=True)) for j in range(m)] for i in range(m)]
    return [[math.exp(A[i][j]) / sum(math.exp(A[n][j]) for n in range(m)) for i in range(m)] for j in range(m)]


def test_the_papers_scale_is_the_default() -> None:
    assert SelfAttention(16).scale == pytest.approx(1 / math.sqrt(2))
    assert model().self_attention.scale == pytest.approx(1 / math.sqrt(256 // 8))
    assert model(scaled=False).self_attention.scale == 1


def test_new_attention_looks_at_all_positions_and_unscaled_at_almost_one() -> None:
    """The entropy of a new module's weights, as a share of that of equal weights, at the paper's width and map size."""
    maps = randn(4, 2048, 12, 4).float().relu()
    shares = {}
    for scaled in (True, False):
        torch.manual_seed(0)
        weights = SelfAttention(2048, scaled=scaled).train().weights(maps)
        shares[scaled] = (-(weights * weights.clamp_min(1e-30).log()).sum(-1)).mean().item() / math.log(48)
    assert shares[True] > 0.8
    assert shares[False] < 0.2


@pytest.mark.parametrize("scaled", [False, True])
def test_self_attention_is_equations_1_to_3(scaled: bool) -> None:
    module = randomised(SelfAttention(16, scaled=scaled))
    assert isinstance(module, SelfAttention)
    assert module.alpha.item() != 0
    scale = 1 / math.sqrt(2) if scaled else 1.0  # d_k = 16 / 8
    x = randn(2, 16, 3, 2, seed=1)
    expected = torch.empty_like(x)
    for b, image in enumerate(x):
        gamma, v = literal_gamma(module, image, scale), literal_conv_bn(module.value, image)
        torch.testing.assert_close(module.weights(x)[b], torch.tensor(gamma, dtype=torch.float64), rtol=1e-10, atol=0)
        for j in range(6):
            for c in range(16):
                o = sum(gamma[j][i] * v[i][c] for i in range(6))
                expected[b, c, j // 2, j % 2] = module.alpha.item() * o + image[c, j // 2, j % 2]
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-12)


def test_equation_1_is_the_scaled_attention_of_torch() -> None:
    module = randomised(SelfAttention(16, scaled=True))
    x = randn(2, 16, 3, 2, seed=2)
    q, k, v = (layer(x).flatten(2).transpose(1, 2) for layer in (module.query, module.key, module.value))
    attended = nn.functional.scaled_dot_product_attention(k, q, v)  # the column j of A belongs to key j
    torch.testing.assert_close(module.weights(x) @ v, attended, rtol=1e-10, atol=1e-12)


def test_self_attention_is_the_identity_at_the_start() -> None:
    module = SelfAttention(16)
    x = randn(3, 16, 4, 2).float()
    assert module.alpha.shape == ()
    assert torch.equal(module.train()(x), x)
    with torch.no_grad():
        module.alpha.fill_(0.5)
    assert not torch.equal(module(x), x)


def test_every_parameter_of_self_attention_learns_once_alpha_is_not_zero() -> None:
    module = SelfAttention(16).train()
    with torch.no_grad():
        module.alpha.fill_(0.5)
    module(randn(3, 16, 4, 2).float()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_self_attention_gradients() -> None:
    module = randomised(SelfAttention(8))
    x = randn(2, 8, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps, *_: module(maps), (x, *module.parameters()))


def test_a_row_is_the_weights_of_one_position() -> None:
    module = randomised(SelfAttention(16))
    assert isinstance(module, SelfAttention)
    x = randn(2, 16, 3, 2, seed=3)
    row = module.row(x, (2, 1))
    torch.testing.assert_close(row.flatten(1), module.weights(x)[:, 5])
    torch.testing.assert_close(row.sum(dim=(1, 2)), torch.ones(2, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"position \(3, 0\) lies outside the map of 3 rows and 2 columns"):
        module.row(x, (3, 0))


def test_every_block_of_every_layer_carries_se() -> None:
    for backbone, blocks in (("resnet18_half", 8), ("mobilenet_v2", 16)):
        net = DualAttention(num_classes=3, backbone=backbone)
        assert sum(isinstance(m, SE) for m in net.modules()) == blocks
    assert not any(isinstance(m, SE) for m in model(se=False).modules())


@pytest.mark.parametrize(("last_stride", "size"), [(2, (4, 2)), (1, (8, 4))])
def test_attention_of_a_position_covers_the_map(last_stride: int, size: tuple[int, int]) -> None:
    images = randn(2, 3, 128, 64).float()
    shown = model(last_stride=last_stride).eval().attention_at(images, (0, 1))
    assert shown.shape == (2, *size)
    assert not shown.requires_grad
    with pytest.raises(ConfigError, match="self_attention=False"):
        model(self_attention=False).attention_at(images, (0, 0))


def test_without_self_attention_the_embedding_is_the_pooled_map() -> None:
    images = randn(2, 3, 128, 64).float()
    net = model().eval()
    assert torch.allclose(net(images).embedding, net.backbone(images).mean(dim=(2, 3)))  # α = 0
    with torch.no_grad():
        net.self_attention.alpha.fill_(1.0)  # type: ignore[union-attr]
    assert not torch.allclose(net(images).embedding, net.backbone(images).mean(dim=(2, 3)))
    plain = model(self_attention=False).eval()
    assert torch.equal(plain(images).embedding, plain.backbone(images).mean(dim=(2, 3)))
