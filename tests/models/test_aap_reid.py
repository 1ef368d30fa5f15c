"""AaP-ReID's own parts: BaND, the stripes, and the switches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from passerby.models.aap_reid import AaPReID
from passerby.models.aligned_reid import LocalBranch


def images(b: int = 3) -> Tensor:
    return torch.randn(b, 3, 128, 64, generator=torch.Generator().manual_seed(0))


def model(**options: object) -> AaPReID:
    torch.manual_seed(0)
    return AaPReID(num_classes=4, trunk="resnet18", **options)  # type: ignore[arg-type]


def test_local_branch_is_the_literal_formula() -> None:
    branch = LocalBranch(6, 4).eval().double()
    maps = torch.randn(2, 6, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    branch.norm.running_mean.uniform_(-1, 1)
    branch.norm.running_var.uniform_(0.5, 2)
    stripes = branch(maps)
    weight, bias = branch.reduce.weight[:, :, 0], branch.reduce.bias
    for b in range(2):
        for row in range(5):
            pooled = torch.full((6,), -torch.inf, dtype=torch.float64)
            for column in range(3):
                value = (maps[b, :, row, column] - branch.norm.running_mean) / (branch.norm.running_var + 1e-5).sqrt()
                pooled = torch.maximum(pooled, value.clamp_min(0))
            reduced = weight @ pooled + bias
            assert torch.allclose(stripes[b, row], reduced / reduced.norm(), atol=1e-10)


@pytest.mark.parametrize(("last_stride", "stripes"), [(1, 8), (2, 4)])
def test_last_stride_decides_the_stripes(last_stride: int, stripes: int) -> None:
    output = model(last_stride=last_stride).eval()(images())
    assert output.local is not None
    assert output.local.shape == (3, stripes, 128)


def test_band_is_bn_relu_pool_and_dropout_only_on_the_way_to_the_classifier() -> None:
    net = model().train()
    output = net(images())
    assert (output.embedding >= 0).all()
    assert output.logits is not None
    kept = net.classifier(output.embedding)
    assert not torch.allclose(output.logits, kept)  # training: units were dropped
    net.eval()
    output = net(images())
    assert output.logits is not None
    assert torch.equal(output.logits, net.classifier(output.embedding))


def test_dropout_is_half_of_the_units_scaled_by_two() -> None:
    """Eq 4, p = 0.5, in the inverted form named under Deviations."""
    net = model().train()
    torch.manual_seed(3)
    dropped = net.dropout(torch.ones(100, 512))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)


def test_without_band_the_embedding_is_the_pooled_map() -> None:
    net = model(band=False).eval()
    assert torch.allclose(net(images()).embedding, net.trunk(images()).mean(dim=(2, 3)))


def test_band_at_test_off_evaluates_the_raw_map() -> None:
    net = model(band_at_test=False).eval()
    output = net(images())
    maps = net.trunk(images())
    assert output.local is not None
    assert torch.allclose(output.embedding, maps.mean(dim=(2, 3)))
    assert output.local.shape == (3, 8, 512)
    trained = net.train()(images())
    assert trained.local is not None
    assert trained.local.shape == (3, 8, 128)
