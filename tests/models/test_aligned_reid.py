"""AlignedReID++: stripes at test with the local branch's layers, as its paper has it, or raw, as its code has it."""

from __future__ import annotations

import torch

from passerby.models.aligned_reid import AlignedReID, raw_stripes


def test_raw_stripes_are_the_normalized_maxima_of_rows() -> None:
    maps = torch.randn(2, 5, 3, 4)
    expected = torch.stack([maps[:, :, y].max(dim=2).values for y in range(3)], dim=1)
    expected = expected / expected.pow(2).sum(dim=2, keepdim=True).sqrt()
    assert torch.allclose(raw_stripes(maps), expected, atol=1e-6)


def test_local_at_test_off_compares_raw_stripes_at_test_only() -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 3, 64, 32)
    net = AlignedReID(num_classes=4, backbone="resnet18_half", local_at_test=False)
    plain = AlignedReID(num_classes=4, backbone="resnet18_half")
    plain.load_state_dict(net.state_dict())
    net.eval()
    plain.eval()
    raw, reduced = net(images), plain(images)
    assert torch.equal(raw.embedding, reduced.embedding)
    assert torch.allclose(raw.local, raw_stripes(net.backbone(images)))
    assert raw.local.shape == (3, 2, 256)
    assert reduced.local.shape == net.train()(images).local.shape == (3, 2, 128)
