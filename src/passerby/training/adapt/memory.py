"""The memory of a round: a vector per cluster and, where cameras are known, one per cluster and camera."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from passerby.losses.base import LossParts
from passerby.losses.cluster_contrast import camera_contrast, cluster_contrast, mean_vectors, update_memory
from passerby.training.adapt.clusters import OUTLIER, Clusters
from passerby.training.adapt.config import ContrastConfig


class ClusterMemory:
    """The vectors that images are compared with; they follow the images of their clusters.

    Args:
        embedding: the embeddings of all crops, from which the vectors are the means.
        clusters: the cluster of each crop.
        cameras: the camera of each crop; ``None``: unknown.
        device: the device of the vectors.
    """

    def __init__(
        self,
        embedding: Float[Tensor, "n d"],
        clusters: Clusters,
        cameras: Int[Tensor, " n"] | None,
        config: ContrastConfig,
        device: torch.device,
    ) -> None:
        self.config = config
        kept = (clusters.labels != OUTLIER).nonzero().squeeze(1)
        rows, labels = F.normalize(embedding[kept], dim=1), clusters.labels[kept]
        self.labels = clusters.labels.to(device)
        self.vectors = mean_vectors(rows, labels, clusters.count).to(device)
        self.of_cameras: Tensor | None = None
        if cameras is not None and config.cameras:
            count = int(cameras.max()) + 1
            pairs, place = (labels * count + cameras[kept]).unique(return_inverse=True)
            self.of_cameras = mean_vectors(rows, place, len(pairs)).to(device)
            self._cluster_of = (pairs // count).to(device)
            self._pair_of = torch.full_like(clusters.labels, OUTLIER).index_put_((kept,), place).to(device)

    def loss(self, embedding: Float[Tensor, "b d"], rows: Int[Tensor, " b"]) -> LossParts:
        """Return the loss of a batch of crops, of which ``rows`` are the numbers; then the vectors follow them."""
        how, query, labels = self.config, F.normalize(embedding, dim=1), self.labels[rows]
        parts = {"clusters": cluster_contrast(query, self.vectors, labels, how.temperature)}
        update = partial(update_memory, momentum=how.momentum, hardest=how.update == "hardest")
        if self.of_cameras is not None:
            own = self._pair_of[rows]
            drawn = camera_contrast(
                query, self.of_cameras, self._cluster_of, own, how.temperature, negatives=how.negatives
            )
            parts["cameras"] = how.cameras * drawn
            self.of_cameras = update(self.of_cameras, query.detach(), own)
        self.vectors = update(self.vectors, query.detach(), labels)
        return LossParts(torch.stack(list(parts.values())).sum(), parts)
