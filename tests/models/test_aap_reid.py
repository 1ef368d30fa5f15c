"""AaP-ReID: BaND, the stripes, and the switches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from passerby.losses.triplet import mine_hardest
from passerby.models.aap_reid import AaPReID
from passerby.models.aligned_reid import LocalBranch


def images(b: int = 3) -> Tensor:
    return torch.randn(b, 3, 128, 64, generator=torch.Generator().manual_seed(0))


def model(**options: object) -> AaPReID:
    torch.manual_seed(0)
    return AaPReID(num_classes=4, backbone="resnet18_half", **options)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(("last_stride", "size"), [(1, (16, 8)), (2, (8, 4))])
def test_at_the_papers_size_the_map_is_that_of_its_3_3(last_stride: int, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        net = AaPReID(num_classes=4, last_stride=last_stride).eval()
        images = torch.zeros(1, 3, 256, 128)
    assert net.backbone(images).shape == (1, 2048, *size)
    assert net.local(net.backbone(images)).shape == (1, size[0], 128)


def test_band_is_bn_relu_pool_and_a_dropout_in_training_alone() -> None:
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


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_eq_4_is_the_literal_formula(p: float) -> None:
    """The features are f_GAP ⊙ Bernoulli, p of them 0; in the inverted form (Deviations) the others are scaled."""
    torch.manual_seed(0)
    net = AaPReID(num_classes=256, backbone="resnet18_half", dropout=p).double().train()
    with torch.no_grad():
        net.classifier.weight.copy_(torch.eye(256))  # its scores are what it is shown
        net.classifier.bias.zero_()
    output = net(images(8).double())
    assert output.logits is not None
    f_gap, dropped = output.embedding, output.logits
    mask = dropped / f_gap.where(f_gap > 0, 1) * (1 - p)
    assert ((mask.abs() < 1e-12) | ((mask - 1).abs() < 1e-12)).all()
    assert torch.allclose(dropped, f_gap * mask / (1 - p), rtol=1e-12, atol=0)
    alive = mask[f_gap > 0]
    assert len(alive) > 1000
    assert alive.mean().item() == pytest.approx(1 - p, abs=0.05)
    assert not torch.equal(mask[0].round(), mask[1].round()), "every image has its own mask"


def identity_scores(**options: object) -> AaPReID:
    """Return a model in training whose scores are what its classifier is shown."""
    torch.manual_seed(0)
    net = AaPReID(num_classes=256, backbone="resnet18_half", **options).train()  # type: ignore[arg-type]
    with torch.no_grad():
        net.classifier.weight.copy_(torch.eye(256))
        net.classifier.bias.zero_()
    return net


def test_the_triplet_loss_sees_the_dropped_vector_that_the_identity_loss_sees() -> None:
    net = identity_scores()
    output = net(images(4))
    assert output.logits is not None
    torch.testing.assert_close(output.metric, output.logits)
    assert (output.metric == 0).float().mean() > (output.embedding == 0).float().mean() + 0.2
    net.eval()
    output = net(images(4))
    assert torch.equal(output.metric, output.embedding)


def test_the_triplet_loss_before_the_dropout_is_an_option() -> None:
    output = identity_scores(triplet_after_dropout=False)(images(4))
    assert output.logits is not None
    assert torch.equal(output.metric, output.embedding)
    assert not torch.allclose(output.logits, output.embedding)


def test_hard_examples_are_mined_among_dropped_vectors() -> None:
    net = identity_scores()
    output = net(images(8))
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    mined = mine_hardest(output.metric, labels)
    distances = torch.cdist(output.logits.double(), output.logits.double())  # type: ignore[union-attr]
    same = labels[:, None] == labels
    assert torch.equal(mined.positive, distances.where(same, -1).argmax(1))
    assert torch.equal(mined.negative, distances.where(~same, torch.inf).argmin(1))


def test_the_papers_rate_is_the_default() -> None:
    assert model().dropout.p == 0.5


def test_without_band_the_embedding_is_the_pooled_map() -> None:
    net = model(band=False).eval()
    assert torch.allclose(net(images()).embedding, net.backbone(images()).mean(dim=(2, 3)))


def test_band_at_test_off_evaluates_the_raw_map() -> None:
    net = model(band_at_test=False).eval()
    output = net(images())
    maps = net.backbone(images())
    assert output.local is not None
    assert torch.allclose(output.embedding, maps.mean(dim=(2, 3)))
    assert output.local.shape == (3, 8, 256)
    trained = net.train()(images())
    assert trained.local is not None
    assert trained.local.shape == (3, 8, 128)
