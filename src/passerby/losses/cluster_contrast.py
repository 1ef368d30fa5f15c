"""The contrast of images with a memory of clusters, and with one of the clusters' cameras.

A cluster's vector takes the place of a class weight: L = −log softmax(q · M / τ) at the image's own cluster, where q
is the L2-normalized embedding and M has one unit vector per cluster, which follows the cluster's images by momentum
(Ge et al., SpCL, NeurIPS 2020; Dai et al., Cluster Contrast, ACCV 2022). With known cameras there is also one vector
per cluster and camera; an image is drawn to those of its cluster's other cameras and away from the nearest ones of
other clusters, so that cameras of one cluster meet (Wang et al., CAP, AAAI 2021).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def cluster_contrast(
    query: Float[Tensor, "b d"], memory: Float[Tensor, "c d"], labels: Int[Tensor, " b"], temperature: float
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of images at their own clusters; rows of both sides have length 1."""
    return F.cross_entropy(query @ memory.T / temperature, labels)


def camera_contrast(
    query: Float[Tensor, "b d"],
    memory: Float[Tensor, "m d"],
    clusters: Int[Tensor, " m"],
    own: Int[Tensor, " b"],
    temperature: float,
    *,
    negatives: int = 50,
) -> Float[Tensor, ""]:
    """Return the mean of −log(exp s⁺ ÷ (Σ exp s⁺ + Σ exp s⁻)) over the other cameras of each image's cluster.

    An image whose cluster has one camera is drawn to that one.

    Args:
        memory: the unit vector of each cluster and camera.
        clusters: the cluster of each of these vectors.
        own: the vector of each image's own cluster and camera.
        negatives: the number of the nearest vectors of other clusters that count.
    """
    scores = query @ memory.T / temperature
    same = clusters[own][:, None] == clusters
    other = same.clone()
    other[torch.arange(len(own), device=own.device), own] = False
    positive = torch.where(other.any(dim=1, keepdim=True), other, same)
    far = scores.masked_fill(same, -torch.inf)
    hard = far.topk(min(negatives, far.shape[1]), dim=1).values
    everything = torch.cat([scores.masked_fill(~positive, -torch.inf), hard], dim=1).logsumexp(dim=1)
    drawn = scores.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return (everything - drawn).mean()


def soft_cross_entropy(scores: tuple[Float[Tensor, "b _"], ...], expected: Float[Tensor, "b v"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of groups of scores to the probabilities ``expected``, group after group."""
    targets = expected.split([group.shape[1] for group in scores], dim=1)
    losses = [F.cross_entropy(group, target) for group, target in zip(scores, targets, strict=True)]
    return torch.stack(losses).mean()


def mean_vectors(rows: Float[Tensor, "n d"], labels: Int[Tensor, " n"], count: int) -> Float[Tensor, "c d"]:
    """Return the L2-normalized mean of the rows of each label."""
    sums = rows.new_zeros(count, rows.shape[1]).index_add_(0, labels, rows)
    return F.normalize(sums, dim=1)


def update_memory(
    memory: Float[Tensor, "c d"],
    query: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    *,
    momentum: float,
    hardest: bool = False,
) -> Float[Tensor, "c d"]:
    """Return the memory with the vectors of a batch's labels moved towards its images.

    Args:
        momentum: the share of the former vector that stays.
        hardest: move towards the image that is farthest from the vector, instead of the images' mean.
    """
    present, place = labels.unique(return_inverse=True)
    if hardest:
        alike = (query * memory[labels]).sum(dim=1)
        own = place == torch.arange(len(present), device=place.device)[:, None]  # (m, b)
        target = query[alike.masked_fill(~own, torch.inf).argmin(dim=1)]
    else:
        target = mean_vectors(query, place, len(present))
    moved = memory.clone()
    moved[present] = F.normalize(momentum * memory[present] + (1 - momentum) * target, dim=1)
    return moved
