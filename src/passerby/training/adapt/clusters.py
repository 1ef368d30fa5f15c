"""The clusters of a round: DBSCAN on the k-reciprocal Jaccard distances of all crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from passerby.retrieval.jaccard import jaccard_within
from passerby.retrieval.sparse_rows import SparseRows
from passerby.training.adapt.config import ClustersConfig

OUTLIER = -1
"""The label of images that belong to no cluster."""
_LEAST_K1, _CROPS_PER_NEIGHBOR = 10, 60


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of each image."""

    labels: Int[Tensor, " n"]
    """The index of each image's cluster, from 0, by its first image; :data:`OUTLIER` for none."""

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.labels.max()) + 1 if len(self.labels) else 0

    @property
    def outliers(self) -> int:
        """The number of images in no cluster."""
        return int((self.labels == OUTLIER).sum())

    @property
    def largest(self) -> int:
        """The number of images of the largest cluster."""
        kept = self.labels[self.labels != OUTLIER]
        return int(torch.bincount(kept).max()) if len(kept) else 0

    def agreement(self, other: Clusters) -> float:
        """Return the adjusted Rand index with another round's clusters, an outlier being a cluster of its own."""
        return adjusted_rand(_alone(self.labels), _alone(other.labels))


def neighbors(embedding: Float[Tensor, "n d"], cameras: Int[Tensor, " n"] | None, config: ClustersConfig) -> SparseRows:
    """Return the Jaccard distances up to ``eps`` among images, without each camera's mean where that is asked for."""
    rows = F.normalize(embedding, dim=1)
    if cameras is not None and config.center_cameras:
        rows = centered(F.normalize(centered(rows, cameras), dim=1), cameras)  # twice: lengths change in between
    k1 = min(config.k1, max(_LEAST_K1, len(rows) // _CROPS_PER_NEIGHBOR))
    return jaccard_within(rows, k1=k1, k2=min(config.k2, k1), radius=config.eps)


def centered(rows: Float[Tensor, "n d"], cameras: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Return rows minus the mean of their camera: what a camera adds to every image does not count."""
    count = torch.bincount(cameras).clamp_min(1)
    sums = rows.new_zeros(len(count), rows.shape[1]).index_add_(0, cameras, rows)
    return rows - (sums / count[:, None])[cameras]


def cluster(near: SparseRows, config: ClustersConfig) -> Clusters:
    """Return the clusters that DBSCAN (Ester et al., KDD 1996) makes of images and their distances up to ``eps``.

    An image with at least ``min_samples`` neighbors, itself included, is a core. Cores that are neighbors are of one
    cluster, and other images are of that of their nearest core, if they have a core among their neighbors.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(near)
    row = torch.arange(n).repeat_interleave(near.lengths)
    core = near.lengths >= config.min_samples
    linked = core[row] & core[near.columns]
    graph = csr_matrix((np.ones(int(linked.sum())), (row[linked].numpy(), near.columns[linked].numpy())), shape=(n, n))
    parts = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))
    labels = torch.where(core, parts, OUTLIER)
    reached = ~core[row] & core[near.columns]
    order = near.weights[reached].argsort(descending=True, stable=True)  # the nearest is written last
    for owner, column in zip(row[reached][order].tolist(), near.columns[reached][order].tolist(), strict=True):
        labels[owner] = parts[column]
    return Clusters(_numbered(labels))


def adjusted_rand(one: Int[Tensor, " n"], other: Int[Tensor, " n"]) -> float:
    """Return the adjusted Rand index of two clusterings (Hubert and Arabie, 1985): 1 if they are equal, 0 by chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one.numpy(), other.numpy()))


def _numbered(labels: Tensor) -> Tensor:
    """Return labels from 0, by the first image of each."""
    numbers: dict[int, int] = {OUTLIER: OUTLIER}
    return torch.tensor([numbers.setdefault(label, len(numbers) - 1) for label in labels.tolist()])


def _alone(labels: Tensor) -> Tensor:
    """Return labels in which each outlier is a cluster of its own."""
    outlier = labels == OUTLIER
    return torch.where(outlier, labels.max() + 1 + outlier.cumsum(0), labels)
