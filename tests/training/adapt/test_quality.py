"""The quality without labels against a literal formula, and what it must and must not depend on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.training.adapt.quality import measure_quality


def literal(embedding: Tensor, cameras: list[int] | None, k: int = 10) -> float:
    """Return the share by loops."""
    rows = F.normalize(embedding, dim=1)
    alike, n = (rows @ rows.T).tolist(), len(rows)
    near = [sorted(range(n), key=lambda j, i=i: (j != i, -alike[i][j]))[: k + 1] for i in range(n)]  # type: ignore[misc]
    shares = []
    for image in range(n):
        partners = near[image][1:]
        if cameras is not None:
            others = {
                camera: [j for j in range(n) if cameras[j] == camera] for camera in set(cameras) - {cameras[image]}
            }
            partners = [max(there, key=lambda j, i=image: alike[i][j]) for there in others.values()]  # type: ignore[misc]
        shares += [len(set(near[image]) & set(near[partner])) / (k + 1) for partner in partners]
    return sum(shares) / len(shares)


def people(spread: float, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return embeddings of 12 people, 4 by each of 3 cameras, but for the last of them, and the cameras."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(12, 12, generator=generator)
    rows = centers.repeat(12, 1) + spread * torch.randn(144, 12, generator=generator)
    return rows[:140], torch.arange(3).repeat_interleave(48)[:140]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 5_000, 2**26])
def test_it_is_the_share_of_common_neighbors(block_bytes: int, known: bool) -> None:
    rows, cameras = people(0.5)
    mixed = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    cams = cameras[mixed] if known else None
    found = measure_quality(rows[mixed], cams, block_bytes=block_bytes)
    assert found == pytest.approx(literal(rows[mixed], cams.tolist() if cams is not None else None))
    assert 0.1 < found < 0.95


@pytest.mark.parametrize("known", [True, False])
def test_better_embeddings_have_a_higher_one_whatever_their_scale(known: bool) -> None:
    values = []
    for spread in (0.05, 0.4, 0.7, 1.2, 5.0):
        rows, cameras = people(spread)
        values.append(measure_quality(rows, cameras if known else None))
        assert measure_quality(8 * rows, cameras if known else None) == values[-1]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert values[-1] < 0.5


def test_one_camera_counts_as_unknown() -> None:
    rows, _ = people(0.5)
    assert measure_quality(rows, torch.zeros(140, dtype=torch.long)) == measure_quality(rows, None)
