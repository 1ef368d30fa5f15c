"""The pose network: shapes, size, and a readout that is initialized as marginals."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from passerby.data.keypoints.augment import MIRRORED
from passerby.errors import ConfigError
from passerby.models.keypoints.network import PoseNetwork, Readout


def tiny() -> PoseNetwork:
    return PoseNetwork(size=(32, 16), width=4)


def test_scores_have_a_bin_for_each_half_pixel() -> None:
    scores = tiny()(torch.zeros(2, 3, 32, 16))
    assert [tuple(s.shape) for s in scores] == [(2, 18, 32), (2, 18, 64), (2, 18)]


def test_the_default_network_is_small() -> None:
    """The bounds are 2 million parameters and 5 MB; the number is that of the documented layers, counted below."""

    def conv(c_in: int, c_out: int, kernel: int) -> int:
        return c_in * c_out * kernel**2 + 2 * c_out  # with its BN

    def residual(c_in: int, c_out: int) -> int:
        return conv(c_in, c_out, 3) + conv(c_out, c_out, 3) + (conv(c_in, c_out, 1) if c_in != c_out else 0)

    c = (20, 40, 80, 160)
    body = conv(3, c[0], 3) + sum(residual(a, b) + residual(b, b) for a, b in pairwise(c))
    back = sum(conv(b, a, 1) + conv(a, a, 3) for a, b in ((c[2], c[3]), (c[1], c[2])))
    maps, inside = 18 * (c[1] * 49 + 1), 18 * (c[3] + 1)
    readout = sum((32 * 16 + 1) * bins for bins in (128, 256))
    count = sum(p.numel() for p in PoseNetwork().parameters())
    assert count == body + back + maps + inside + readout
    assert count <= 2_000_000


def test_every_parameter_gets_a_gradient() -> None:
    network = tiny()
    x, y, inside = network(torch.randn(2, 3, 32, 16, generator=torch.Generator().manual_seed(0)))
    (x.square().mean() + y.square().mean() + inside.square().mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_the_readout_begins_as_sums_over_rows_and_columns() -> None:
    maps = torch.rand(1, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    x, y = Readout((4, 3), bins=1)(maps)
    torch.testing.assert_close(x, maps.sum(2) / 2)
    torch.testing.assert_close(y, maps.sum(3) / 3**0.5)


def test_finer_bins_lie_between_the_cells_of_the_map() -> None:
    maps = torch.zeros(1, 1, 1, 3)
    maps[..., 1] = 1.0
    x, _ = Readout((1, 3), bins=2)(maps)
    torch.testing.assert_close(x[0, 0], torch.tensor([0.0, 0.25, 0.75, 0.75, 0.25, 0.0]))


@pytest.mark.parametrize("size", [(30, 16), (32, 8), (0, 16)])
def test_sides_are_multiples_of_16(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        PoseNetwork(size=size, width=2)


def test_images_of_another_size_raise() -> None:
    with pytest.raises(ConfigError, match=r"reads images of \(32, 16\), got \(64, 32\)"):
        tiny()(torch.zeros(1, 3, 64, 32))


def test_mirrored_keypoints_are_pairs() -> None:
    assert [MIRRORED[i] for i in MIRRORED] == list(range(18))
    assert sum(i == other for i, other in enumerate(MIRRORED)) == 2  # nose and neck
