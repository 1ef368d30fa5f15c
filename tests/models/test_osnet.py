"""OSNet: torchreid's published checkpoints, the four widths, and the block against its figure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from passerby.models.backbones.osnet import OSBlock, OSNetBackbone
from passerby.models.registry import create_model
from passerby.weights.load import load_weights

WIDTHS = {"osnet_x0_25": 0.25, "osnet_x0_5": 0.5, "osnet_x0_75": 0.75, "osnet_x1_0": 1.0}
VARIANTS = {"osnet_ibn_x1_0": "osnet_x1_0", "osnet_ain_x1_0": "osnet_x1_0"} | {
    f"osnet_ain_{width}": f"osnet_{width}" for width in ("x0_25", "x0_5", "x0_75")
}
# As the paper prints them for features alone (backbone and the layer to 512), rounded to a tenth.
MILLIONS = {"osnet_x0_25": 0.2, "osnet_x0_5": 0.6, "osnet_x0_75": 1.3, "osnet_x1_0": 2.2}


@pytest.fixture
def checkpoints(shared: Path) -> Path:
    return shared / "weights" / "osnet_x0_25"


def images() -> Tensor:
    return torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("file", "classes"), [("osnet_x0_25_market1501.pth", 751), ("osnet_x0_25_msmt17.pth", 1041)])
def test_torchreids_checkpoints_load_completely(checkpoints: Path, file: str, classes: int) -> None:
    model = create_model("osnet_x0_25", num_classes=classes)
    report = load_weights(model, checkpoints / file)
    assert len(report.matched) == report.total == 567
    assert report.missing == report.unexpected == report.reshaped == report.fresh == ()


def test_other_identities_leave_the_classifier_out(checkpoints: Path) -> None:
    model = create_model("osnet_x0_25", num_classes=3)
    report = load_weights(model, checkpoints / "osnet_x0_25_msmt17.pth", ignore=("classifier.",))
    assert len(report.matched) == report.total == 565
    model.eval()
    with torch.inference_mode():
        assert model(images()).logits.shape == (2, 3)


def feature_parameters(name: str) -> int:
    with torch.device("meta"):
        return create_model(name).parameter_count()


def test_width_by_width() -> None:
    counts = {name: feature_parameters(name) for name in WIDTHS}
    assert {name: round(count / 1e6, 1) for name, count in counts.items()} == MILLIONS


def test_torchreid_counts_the_shared_gate_once_for_each_stream() -> None:
    """It prints 2,193,616 for x1.0: each of the six gates four times."""
    with torch.device("meta"):
        model = create_model("osnet_x1_0")
    gates = sum(p.numel() for name, p in model.named_parameters() if ".gate." in name)
    assert model.parameter_count() + 3 * gates == 2_193_616


@pytest.mark.parametrize(("variant", "plain"), VARIANTS.items())
def test_variants_have_the_parameters_of_the_plain_ones(variant: str, plain: str) -> None:
    """An instance normalization has those of the BN that it replaces; OSNet-IBN adds one to two blocks of 256."""
    added = 2 * 2 * 256 if "ibn" in variant else 0
    assert feature_parameters(variant) == feature_parameters(plain) + added


@pytest.mark.parametrize("name", WIDTHS)
def test_embedding_is_512_wide_at_every_width(name: str) -> None:
    model = create_model(name, num_classes=4).eval()
    with torch.inference_mode():
        output = model(images())
    assert output.embedding.shape == (2, 512)
    assert (output.embedding >= 0).all()  # the fully connected layer ends in ReLU


@pytest.mark.parametrize("width", WIDTHS.values())
def test_the_backbone_map_is_a_sixteenth(width: float) -> None:
    backbone = OSNetBackbone(width=width).eval()
    with torch.inference_mode():
        assert backbone(images()).shape == (2, int(512 * width), 4, 2)
    assert backbone.channels == int(512 * width)


def test_block_is_the_papers_figure() -> None:
    block = OSBlock(64, 128).double().eval()
    x = torch.randn(2, 64, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        squeezed = block.conv1(x)
        total = torch.zeros(2, 32, 5, 3, dtype=torch.float64)
        for stream in (block.conv2a, block.conv2b, block.conv2c, block.conv2d):
            y = stream(squeezed)
            pooled = torch.stack([channel.mean() for image in y for channel in image]).view(2, 32)
            hidden = (pooled @ block.gate.fc1.weight[:, :, 0, 0].T + block.gate.fc1.bias).clamp(min=0)
            gate = 1 / (1 + torch.exp(-(hidden @ block.gate.fc2.weight[:, :, 0, 0].T + block.gate.fc2.bias)))
            total = total + torch.einsum("bchw,bc->bchw", y, gate)
        assert block.downsample is not None
        expected = (block.conv3(total) + block.downsample(x)).clamp(min=0)
        torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("stream", "reach"), [("conv2a", 1), ("conv2b", 2), ("conv2c", 3), ("conv2d", 4)])
def test_streams_see_3_5_7_and_9_pixels(stream: str, reach: int) -> None:
    layer = OSBlock(64, 64).double().eval().get_submodule(stream)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(0.5)  # positive everywhere: no ReLU hides a pixel
    x = torch.ones(1, 16, 15, 15, dtype=torch.float64, requires_grad=True)
    layer(x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()
    assert seen.min(0).values.tolist() == [7 - reach, 7 - reach]
    assert seen.max(0).values.tolist() == [7 + reach, 7 + reach]
