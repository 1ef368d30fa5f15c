"""Embeddings projected to two dimensions: a view of neighborhoods, never a number to report.

======  ===============================================================================================================
pca     the two directions of most variance (Pearson, 1901), exact, by singular values
tsne    t-SNE (van der Maaten and Hinton, JMLR 2008; Barnes-Hut, JMLR 2014), which keeps neighbors and little else;
        scikit-learn's
umap    McInnes et al., 2018; needs the package umap-learn, which passerby does not install
======  ===============================================================================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError, UnknownNameError

Method = Literal["pca", "tsne", "umap"]
PERPLEXITY = 30.0
"""The default perplexity of t-SNE, about the number of neighbors of a point; at most a third of the points."""

_NEAR = "neighborhoods are kept; distances between groups and their sizes mean little"


class Projection(NamedTuple):
    """The points of a projection."""

    points: Float[Tensor, "n 2"]
    axes: tuple[str, str]
    """The axis labels; the first one says so where axes have no meaning."""
    how: str
    """The method and its settings, as text."""


def project(
    features: Float[Tensor, "n d"], method: Method = "pca", *, seed: int = 0, perplexity: float | None = None
) -> Projection:
    """Project embeddings to a plane.

    Args:
        seed: random seed of t-SNE and UMAP.
        perplexity: perplexity of t-SNE.

    Raises:
        UnknownNameError: if the method is unknown.
        ConfigError: if there are fewer than four embeddings, the package of the method is not installed, or the
            perplexity is not between 1 and their number.
    """
    if method not in get_args(Method):
        raise UnknownNameError("projection", method, get_args(Method))
    if len(features) < 4:
        raise ConfigError(f"an embedding map needs at least 4 images, got {len(features)}. Fix: select more people")
    if perplexity is not None and method != "tsne":
        raise ConfigError(f"perplexity is an option of t-SNE, not of {method}. Fix: leave it out, or use tsne")
    features = features.detach().cpu().double()
    if method == "pca":
        return pca(features)
    return _tsne(features, seed, perplexity) if method == "tsne" else _umap(features, seed)


def pca(features: Float[Tensor, "n d"]) -> Projection:
    """Project x − x̄ on the directions of the two largest singular values; the largest weight of each is positive."""
    centered = features - features.mean(dim=0)
    left, values, right = torch.linalg.svd(centered, full_matrices=False)
    points = torch.zeros(len(features), 2, dtype=features.dtype)
    names = []
    shares = values.square() / values.square().sum().clamp_min(torch.finfo(features.dtype).tiny)
    for k, name in enumerate(("first", "second")):
        if k < len(values):
            sign = right[k][right[k].abs().argmax()].sign()
            points[:, k] = left[:, k] * values[k] * sign
        share = shares[k].item() if k < len(values) else 0.0
        names.append(f"{name} component, {100 * share:.1f} % of the variance")
    return Projection(points, (names[0], names[1]), "PCA")


def _tsne(features: Float[Tensor, "n d"], seed: int, perplexity: float | None) -> Projection:
    n = len(features)
    wanted = min(PERPLEXITY, (n - 1) / 3) if perplexity is None else perplexity
    if not 1 <= wanted < n:
        raise ConfigError(
            f"the perplexity must be at least 1 and below the number of images ({n}), got {wanted:g}. "
            "Fix: lower it, or show more images"
        )
    manifold = _package("sklearn.manifold", "scikit-learn", "t-SNE")
    method = manifold.TSNE(n_components=2, perplexity=wanted, init="pca", random_state=seed)
    points = torch.from_numpy(method.fit_transform(features.numpy())).double()
    return Projection(points, (_NEAR, ""), f"t-SNE, perplexity {wanted:.3g}, seed {seed}")


def _umap(features: Float[Tensor, "n d"], seed: int) -> Projection:
    umap = _package("umap", "umap-learn", "UMAP")
    neighbors = min(15, len(features) - 1)
    method = umap.UMAP(n_components=2, n_neighbors=neighbors, random_state=seed, n_jobs=1)
    points = torch.as_tensor(method.fit_transform(features.numpy())).double()
    return Projection(points, (_NEAR, ""), f"UMAP, {neighbors} neighbors, seed {seed}")


def _package(module: str, package: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs the package {package}, which cannot be imported ({error}). Fix: pip install {package}, or "
            "use pca"
        ) from None
