"""Instance-batch normalization in MobileNetV2, ImageNet weights for it, and the mixing of styles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from passerby.models.backbones import create_backbone
from passerby.models.backbones.ibn import IBN
from passerby.models.backbones.mix_style import MixStyle
from passerby.models.registry import create_model
from passerby.weights.load import load_backbone


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    torch.manual_seed(0)
    network = create_backbone("mobilenet_v2")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
            nn.init.uniform_(module.running_mean, -1, 1)
    return network.eval()


def test_weights_without_ibn_are_split_by_channels(plain: nn.Module, tmp_path: Path) -> None:
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    network = create_backbone("mobilenet_v2_ibn_a")
    report = load_backbone(network, tmp_path / "plain.safetensors")
    assert report.share == 1
    assert not report.unexpected
    theirs, found = plain.state_dict(), [n for n, m in network.named_modules() if isinstance(m, IBN)]
    assert found == [f"features.{block}.conv.0.1" for block in range(2, 14)]
    for name in found:
        half = len(theirs[f"{name}.weight"]) // 2
        module = network.get_submodule(name)
        assert torch.equal(module.IN.weight, theirs[f"{name}.weight"][:half])
        assert torch.equal(module.IN.bias, theirs[f"{name}.bias"][:half])
        assert torch.equal(module.BN.weight, theirs[f"{name}.weight"][half:])
        assert torch.equal(module.BN.running_mean, theirs[f"{name}.running_mean"][half:])
        assert torch.equal(module.BN.running_var, theirs[f"{name}.running_var"][half:])


def test_weights_with_ibn_load_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first, second = (create_backbone("mobilenet_v2_ibn_a").eval() for _ in range(2))
    save_file(first.state_dict(), tmp_path / "ibn.safetensors")
    assert load_backbone(second, tmp_path / "ibn.safetensors").share == 1
    images = torch.randn(1, 3, 64, 32)
    assert torch.equal(first(images), second(images))


def test_ibn_forgets_the_style_of_half_the_channels() -> None:
    norm = IBN(6).eval()
    x = torch.randn(2, 6, 8, 4)
    y, styled = norm(x), norm(3 * x + 2)
    torch.testing.assert_close(styled[:, :3], y[:, :3], atol=1e-4, rtol=1e-4)
    assert (styled[:, 3:] - y[:, 3:]).abs().mean() > 1


@pytest.mark.parametrize("momentum", [0.1, None])
def test_ibn_is_the_two_layers_of_torch(momentum: float | None) -> None:
    torch.manual_seed(0)
    norm, first, second = IBN(7), nn.InstanceNorm2d(3, affine=True), nn.BatchNorm2d(4)
    for module in (norm.IN, norm.BN):
        nn.init.uniform_(module.weight, 0.5, 2)
        nn.init.uniform_(module.bias, -1, 1)
    first.load_state_dict(norm.IN.state_dict())
    second.load_state_dict(norm.BN.state_dict())
    norm.BN.momentum = second.momentum = momentum  # None: the mean of all batches, as re-estimation takes it
    for training in (True, True, False):
        x = (3 * torch.randn(4, 7, 6, 5) + torch.randn(1, 7, 1, 1)).requires_grad_()
        for module in (norm, first, second):
            module.train(training)
        found, expected = norm(x), torch.cat([first(x[:, :3]), second(x[:, 3:])], dim=1)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
        weights = torch.randn(4, 7, 6, 5)
        gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (found, expected)]
        torch.testing.assert_close(*gradients, atol=2e-5, rtol=1e-4)
    for name, value in second.state_dict().items():
        torch.testing.assert_close(norm.BN.state_dict()[name], value, atol=1e-5, rtol=1e-5)


def styles(x: Tensor) -> Tensor:
    return torch.cat([x.mean((2, 3)), x.std((2, 3))], dim=1)


def test_a_mixed_style_lies_between_two_of_the_batch() -> None:
    torch.manual_seed(0)
    mix = MixStyle(1.0)
    x = torch.randn(16, 4, 8, 4) * torch.rand(16, 4, 1, 1) * 3 + torch.randn(16, 4, 1, 1)
    y = mix(x)
    own, new = styles(x), styles(y)
    assert not torch.allclose(own, new, atol=1e-3)
    for row in range(16):  # on the segment between its own style and that of one other image
        away = torch.stack([_distance(new[row], own[row], own[other]) for other in range(16)])
        assert away.min() < 0.05
    normal = [(t - t.mean((2, 3), keepdim=True)) / t.std((2, 3), keepdim=True) for t in (x, y)]
    torch.testing.assert_close(*normal, atol=1e-3, rtol=1e-3)


def _distance(point: Tensor, a: Tensor, b: Tensor) -> Tensor:
    direction = b - a
    share = ((point - a) @ direction / (direction @ direction).clamp_min(1e-9)).clamp(0, 1)
    return (a + share * direction - point).norm()


def test_styles_are_mixed_in_training_only() -> None:
    torch.manual_seed(0)
    never, always = (create_model("strong_baseline", backbone="mobilenet_v2", mix_style=p) for p in (0.0, 1.0))
    always.load_state_dict(never.state_dict())
    images = torch.randn(4, 3, 32, 16)
    assert torch.equal(never.eval()(images).embedding, always.eval()(images).embedding)
    assert not torch.allclose(never.train()(images).metric, always.train()(images).metric)
