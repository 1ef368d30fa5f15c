"""DBSCAN and the Rand index against scikit-learn's, the camera's mean, and the numbers of a clustering."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.retrieval.sparse_rows import SparseRows, from_table
from passerby.training.adapt.clusters import Clusters, adjusted_rand, centered, cluster, neighbors
from passerby.training.adapt.config import ClustersConfig


def sparse(distances: Tensor, eps: float) -> SparseRows:
    kept = distances <= eps
    return from_table(torch.arange(len(distances)).expand_as(distances), kept, distances[kept])


@pytest.mark.parametrize("min_samples", [2, 4, 8])
def test_clusters_are_those_of_scikit_learn(min_samples: int) -> None:
    reference = pytest.importorskip("sklearn.cluster")
    points = torch.randn(150, 2, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points).fill_diagonal_(0)
    config = ClustersConfig(eps=0.25, min_samples=min_samples)
    found = cluster(sparse(distances, 0.25), config).labels
    there = reference.DBSCAN(eps=0.25, min_samples=min_samples, metric="precomputed").fit(distances.numpy())
    expected = torch.from_numpy(there.labels_)
    core = torch.zeros(150, dtype=torch.bool)
    core[torch.from_numpy(there.core_sample_indices_)] = True
    assert adjusted_rand(found[core], expected[core].long()) == 1
    assert torch.equal(found == -1, expected == -1)


def test_an_image_between_clusters_belongs_to_the_nearest_core() -> None:
    x = torch.tensor([0.0] * 7 + [0.2, 0.48, 0.7] + [0.9] * 7)
    labels = cluster(sparse((x[:, None] - x).abs(), 0.3), ClustersConfig(eps=0.3, min_samples=5)).labels
    assert labels.tolist() == [0] * 8 + [1] * 9


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [([0, 0, 1, 1], [5, 5, 2, 2], 1.0), ([0, 0, 1, 1], [0, 1, 0, 1], -0.5), ([0, 0, 1, 2], [0, 0, 1, 1], 0.5714286)],
)
def test_the_rand_index_is_that_of_the_formula(one: list[int], other: list[int], expected: float) -> None:
    assert adjusted_rand(torch.tensor(one), torch.tensor(other)) == pytest.approx(expected)


def test_outliers_are_clusters_of_their_own_in_the_agreement() -> None:
    one, other = Clusters(torch.tensor([0, 0, -1, -1])), Clusters(torch.tensor([0, 0, 1, 1]))
    assert one.agreement(one) == 1
    assert one.agreement(other) == pytest.approx(0.5714286)
    assert (one.count, one.outliers, one.largest, other.outliers) == (1, 2, 2, 0)
    assert Clusters(torch.tensor([-1, -1])).largest == 0


def test_what_a_camera_adds_to_every_image_does_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    people = F.normalize(torch.randn(20, 16, generator=generator), dim=1)
    shift = 3 * torch.randn(3, 16, generator=generator)
    cameras = torch.arange(3).repeat_interleave(40)
    rows = people.repeat(6, 1) + shift[cameras] + 0.05 * torch.randn(120, 16, generator=generator)
    assert torch.allclose(centered(rows, cameras)[:40].mean(dim=0), torch.zeros(16), atol=1e-5)
    truth = torch.arange(20).repeat(6)
    right = []
    for center in (True, False):
        config = ClustersConfig(center_cameras=center)
        right.append(adjusted_rand(cluster(neighbors(rows, cameras, config), config).labels + 1, truth))
    assert right[0] > 0.95
    assert right[1] < 0.5
