"""ResNet backbones: golden counts, torchvision's keys, strides, and the position of attention."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from passerby.errors import ConfigError, UnknownNameError
from passerby.models.attention.cwa import CWA
from passerby.models.backbones import backbone_names, create_backbone
from passerby.models.backbones.resnet import DEPTHS, ResNet

COUNTS = {18: 11_176_512, 26: 13_946_176, 34: 21_284_672, 50: 23_508_032, 101: 42_500_160, 152: 58_143_808}


def images() -> Tensor:
    return torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def seeded(**options: object) -> ResNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ResNet(18, **options).eval()


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameter_counts(depth: int) -> None:
    with torch.device("meta"):
        backbone = create_backbone(f"resnet{depth}")
    assert sum(p.numel() for p in backbone.parameters()) == COUNTS[depth]
    assert backbone.channels == (512 if depth in (18, 34) else 2048)


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_ibn_a_has_as_many_parameters(depth: int) -> None:
    """IBN-Net prints 25.56 million for ResNet-50 with its ImageNet classifier, and for ResNet-50-IBN-a."""
    with torch.device("meta"):
        backbone = create_backbone(f"resnet{depth}_ibn_a")
    assert sum(p.numel() for p in backbone.parameters()) == COUNTS[depth]
    halves = {name for name, module in backbone.named_modules() if isinstance(module, nn.InstanceNorm2d)}
    assert len(halves) == sum(DEPTHS[depth][:3])


def test_a_fresh_non_local_block_changes_nothing_and_ends_its_stage() -> None:
    backbone = ResNet(50, non_local=True).eval()
    plain = ResNet(50).eval()
    plain.load_state_dict({k: v for k, v in backbone.state_dict().items() if not k.startswith("NL_")})
    with torch.inference_mode():
        assert torch.equal(backbone(images()), plain(images()))
    assert backbone.stages["layer3"] is backbone.get_submodule("NL_3.2")
    assert backbone.stages["layer4"] is backbone.layer4


@pytest.mark.parametrize("options", [{"stem": "round"}, {"non_local": True}])
def test_variants_that_do_not_exist(options: dict[str, object]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown (stem 'round'|depth of a ResNet with non-local blocks '18')"):
        create_backbone("resnet18", **options)


def test_keys_are_torchvisions_without_the_classifier() -> None:
    with torch.device("meta"):
        state = ResNet(50).state_dict()
    shapes = {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.running_var": (256,),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer2.0.downsample.0.weight": (512, 256, 1, 1),
        "layer3.5.bn2.num_batches_tracked": (),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert len(state) == 318  # torchvision's 320, less fc.weight and fc.bias
    assert not [key for key in state if key.startswith("fc.") or ".attention." in key]


@pytest.mark.parametrize(("last_stride", "map_size"), [(1, (4, 2)), (2, (2, 1))])
@pytest.mark.parametrize("depth", [18, 50])
def test_map_size_follows_last_stride(depth: int, last_stride: int, map_size: tuple[int, int]) -> None:
    backbone = ResNet(depth, last_stride=last_stride).eval()
    with torch.inference_mode():
        assert backbone(images()).shape == (2, backbone.channels, *map_size)


def test_stride_is_on_the_bottlenecks_3x3() -> None:
    with torch.device("meta"):
        first = ResNet(50).get_submodule("layer2.0")
    strides = [first.get_submodule(name).stride for name in ("conv1", "conv2", "conv3", "downsample.0")]
    assert strides == [(1, 1), (2, 2), (1, 1), (2, 2)]


@pytest.mark.parametrize(("stages", "count"), [((1,), 3), ((2,), 4), ((3, 4), 9), ((1, 2, 3, 4), 16), ((), 0)])
def test_every_block_of_the_stages_gets_one_attention_module(stages: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        backbone = ResNet(50, attention=CWA, attention_stages=stages)
    attended = [name for name, module in backbone.named_modules() if isinstance(module, CWA)]
    assert len(attended) == count
    assert {name.split(".")[0] for name in attended} == {f"layer{stage}" for stage in stages}


class _Recorder(nn.Module):
    """An attention module that records its input, and multiplies by three."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        self.seen = maps.detach().clone()
        return 3 * maps


@pytest.mark.parametrize("position", ["post_bn", "pre_bn"])
def test_attention_is_after_or_before_the_last_bn(position: str) -> None:
    backbone = seeded(attention=_Recorder, attention_stages=(4,), attention_position=position)
    block = backbone.get_submodule("layer4.1")
    assert isinstance(block.attention, _Recorder)
    with torch.no_grad():
        block.bn2.running_mean.fill_(0.3)
        block.bn2.running_var.fill_(4.0)
        x = torch.randn(2, 512, 2, 1, generator=torch.Generator().manual_seed(2))
        conv = block.conv2(torch.relu(block.bn1(block.conv1(x))))
        if position == "post_bn":
            seen = (conv - 0.3) / (4 + 1e-5) ** 0.5
            expected = torch.relu(x + 3 * seen)
        else:
            seen = conv
            expected = torch.relu(x + (3 * seen - 0.3) / (4 + 1e-5) ** 0.5)
        out = block(x)
    torch.testing.assert_close(block.attention.seen, seen, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_positions_differ_and_share_their_keys() -> None:
    post = seeded(attention=CWA, attention_position="post_bn")
    pre = seeded(attention=CWA, attention_position="pre_bn")
    for module in post.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(-0.2)
    pre.load_state_dict(post.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(post(images()), pre(images()), rtol=1e-3)


def test_attention_keeps_the_plain_keys() -> None:
    plain, attended = seeded(), seeded(attention=CWA)
    result = attended.load_state_dict(plain.state_dict(), strict=False)
    assert result.unexpected_keys == []
    assert all(".attention." in key for key in result.missing_keys)
    seeded().load_state_dict(plain.state_dict(), strict=True)


def test_backbones_by_name() -> None:
    resnets = [
        "resnet101",
        "resnet101_ibn_a",
        "resnet152",
        "resnet18",
        "resnet18_half",
        "resnet18_ibn_a",
        "resnet26",
        "resnet26_half",
        "resnet34",
        "resnet34_ibn_a",
        "resnet50",
        "resnet50_ibn_a",
    ]
    assert backbone_names() == ["mobilenet_v2", "mobilenet_v2_ibn_a", *resnets]
    with pytest.raises(UnknownNameError, match="resnet50"):
        create_backbone("resnet51")
    with pytest.raises(UnknownNameError, match="depth '27'"):
        ResNet(27)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Disable type checks, as outside the test suite, so that the library's own are reached."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_stride": 3}, "last_stride is 1 or 2, got 3"),
        ({"attention_stages": (3, 5)}, "got 3, 5"),
        ({"attention_position": "middle"}, "post_bn or pre_bn, got 'middle'"),
    ],
)
def test_invalid_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_backbone("resnet18", attention=CWA, **options)
